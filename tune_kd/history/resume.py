"""Goes on with what an interruption left: the plan comes from the store, and so does everything already spent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from search_spaces import Space
from tune_kd.budget.amount import Budget
from tune_kd.cluster import code
from tune_kd.config import catalogue
from tune_kd.config.keywords import changed
from tune_kd.config.scenario import from_record
from tune_kd.data import ImageData
from tune_kd.errors import InputError, unknown
from tune_kd.history import records
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.options import Metering
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import RunPlan, Study
from tune_kd.store import Store
from tune_kd.store.ids import base_id
from tune_kd.training.teacher import teacher_id

UNFINISHED = ("planned", "running", "stopped", "lost")


def unfinished_rows(store: Store, name: str | None) -> list[dict[str, Any]]:
    """The rows of the unfinished runs of a run, a study, or the latest study that has any. Raises InputError."""
    runs = store.runs(["run_id", "study_id", "status"])
    left = runs[runs.status.isin(UNFINISHED)]
    if name is None:
        if left.empty:
            raise InputError(f"nothing to resume in {store.location}: all of its {len(runs)} runs have ended")
        name = base_id(left.study_id.max())  # ids begin with the time at which they were planned
    studies = runs.study_id.fillna("")
    named = runs[(runs.run_id == name) | (studies == name) | (studies.map(base_id) == name)]
    if named.empty:
        raise unknown("run or study", name, sorted({*runs.run_id, *runs.study_id.dropna()}))
    chosen = named[named.status.isin(UNFINISHED)]
    if chosen.empty:
        raise InputError(
            f"nothing to resume in {name}: its {len(named)} runs are {', '.join(sorted(set(named.status)))}"
        )
    return list(records.plain_rows(store.runs(run_ids=list(chosen.run_id))))


def studies_of(rows: Sequence[Mapping[str, Any]]) -> list[Study]:
    """The studies that ``rows`` are of: one, or the parts of one."""
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_id.setdefault(row["study_id"], []).append(row)
    return [study_of(of_study) for of_study in by_id.values()]


def study_of(rows: Sequence[Mapping[str, Any]]) -> Study:
    """The study as it was planned, as far as ``rows`` hold it."""
    first = rows[0]
    runs = sorted((plan_of(row) for row in rows), key=lambda plan: plan.replicate)
    return Study(study_id=first["study_id"], name=first["study"], runs=tuple(runs))


def check_unchanged(rows: Sequence[dict[str, Any]], data: ImageData, *, force: bool) -> None:
    """Refuse to go on with other data or code than a run began with; forced, the difference goes into its row.

    Raises InputError, naming what differs.
    """
    for row in rows:
        policy = catalogue.policy_from_record(row["policy_json"])
        here = {
            "split_sha256": data.split_sha256,
            "policy_sha256": catalogue.policy_sha256(policy, now=True),
            **code.code(),
            **_given_teacher(row, data),
        }
        differing = [
            f"{name}: {row[name]} then, {now} now"
            for name, now in here.items()
            if row.get(name) != now and name != "code_dirty"
        ]
        if not differing:
            continue
        if not force:
            raise InputError(f"run {row['run_id']} cannot go on unchanged ({'; '.join(differing)}); --force goes on")
        row["forced_changes"] = "; ".join(filter(None, [row.get("forced_changes"), *differing]))


def _given_teacher(row: Mapping[str, Any], data: ImageData) -> dict[str, str]:
    """The id of a teacher from a file of the user's own, which may hold something else by now."""
    scenario = from_record(row["scenario_json"])
    given = scenario.teacher_checkpoint is not None and row.get("teacher_id") is not None
    return {"teacher_id": teacher_id(scenario, data)} if given else {}


def plan_of(row: Mapping[str, Any]) -> RunPlan:
    """A run as it was planned, from its row in the store."""
    return RunPlan(
        run_id=row["run_id"],
        study_id=row["study_id"],
        scenario=from_record(row["scenario_json"]),
        space=Space.from_dict(row["space"], json.loads(row["space_json"])),
        policy=catalogue.policy_from_record(row["policy_json"]),
        label=row["policy"],
        budget=Budget(currency=row["budget_currency"], limit=row["budget_limit"]),
        track=row["track"],
        replicate=int(row["replicate"]),
        seed=int(row["seed"]),
        study_seed=int(row["study_seed"]),
        budget_text=row["budget_text"],
        target_accuracy=row["target_accuracy"],
    )


def as_recorded(execution: Execution, store: Store, rows: Sequence[Mapping[str, Any]]) -> Execution:
    """The execution of a study that goes on: carbon and metering are as recorded, unless others were asked for."""
    asked = set(changed(execution))
    metering = None if asked & {field.name for field in fields(Metering)} else recorded_metering(store, rows)
    if metering is not None:
        execution = replace(execution, **asdict(metering))
    recorded = None if asked & {"country", "carbon_intensity", "pue"} else recorded_carbon(store, rows)
    return execution if recorded is None else execution.with_carbon(recorded)


def recorded_carbon(store: Store, rows: Sequence[Mapping[str, Any]]) -> Carbon | None:
    """The carbon intensity and PUE that the study's trials were recorded with; None where there is none yet."""
    of_study = store.trials(run_ids=_with_all_parts(store, rows))
    if of_study.empty:
        return None
    first = of_study.iloc[0]
    # As plain numbers: what is computed from them lies in checkpoints, and NumPy's would be refused as code there.
    known = of_study.astype(object).where(of_study.notna(), None).iloc[0]
    return Carbon(
        intensity_g_per_kwh=float(first.carbon_g_per_kwh),
        source=first.carbon_source,
        pue=float(first.pue),
        region=known["carbon_region"],
        year=None if known["carbon_year"] is None else int(known["carbon_year"]),
    )


def recorded_metering(store: Store, rows: Sequence[Mapping[str, Any]]) -> Metering | None:
    """The meters' rate and the options of the power model that the study ran with; None where none has run yet."""
    of_study = store.nodes(run_ids=_with_all_parts(store, rows))
    recorded = of_study.meter_params_json.dropna()
    if recorded.empty:
        return None
    params = json.loads(recorded.iloc[0])
    return Metering(meter_period=params["period_s"], **params.get("given", {}))


def _with_all_parts(store: Store, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of all runs of the study that ``rows`` are of."""
    runs = store.runs(["run_id", "study_id"])
    return list(runs[runs.study_id.fillna("").map(base_id) == base_id(rows[0]["study_id"])].run_id)
