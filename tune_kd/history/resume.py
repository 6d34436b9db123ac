"""Resumes interrupted runs: their plan, and what they have spent, come from the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace

from tune_kd.config.keywords import changed
from tune_kd.data import ImageData
from tune_kd.errors import InputError
from tune_kd.history.records import RunRow, run_rows
from tune_kd.history.unfinished import unfinished
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.options import Metering
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study
from tune_kd.store import Store
from tune_kd.store.ids import base_id
from tune_kd.training.teacher import teacher_id


def unfinished_rows(store: Store, name: str | None) -> list[RunRow]:
    """The rows of the unfinished runs of a run, a study, or the latest study that has any. Raises InputError."""
    return run_rows(store.runs(run_ids=unfinished(store, name)))


def studies_of(rows: Sequence[RunRow]) -> list[Study]:
    """The studies of these runs: one, or those that were planned together as the parts of one."""
    by_id: dict[str, list[RunRow]] = {}
    for row in rows:
        by_id.setdefault(row.study_id, []).append(row)
    return [study_of(of_study) for of_study in by_id.values()]


def study_of(rows: Sequence[RunRow]) -> Study:
    """The study of these runs as it was planned, without its other runs."""
    runs = sorted((row.plan() for row in rows), key=lambda plan: plan.replicate)
    return Study(study_id=rows[0].study_id, name=rows[0].study_name, runs=tuple(runs))


def check_unchanged(rows: Sequence[RunRow], data: ImageData, *, force: bool) -> None:
    """Refuse to resume with other data or code than a run began with; forced, the difference is noted in its row.

    Raises InputError, naming what differs.
    """
    for row in rows:
        changes = row.changes(data, _given_teacher(row, data))
        differing = [line for column, line in changes.items() if column != "code_dirty"]
        if not differing:
            continue
        if not force:
            raise InputError(f"run {row.run_id} cannot go on unchanged ({'; '.join(differing)}); --force goes on")
        row.force("; ".join(filter(None, [row.forced_changes, *differing])))


def _given_teacher(row: RunRow, data: ImageData) -> str | None:
    """The id of a teacher from the user's own file, whose content may have changed; None for another teacher."""
    given = row.scenario.teacher_checkpoint is not None and row.teacher_id is not None
    return teacher_id(row.scenario, data) if given else None


def as_recorded(execution: Execution, store: Store, rows: Sequence[RunRow]) -> Execution:
    """The execution of a resumed study: its recorded carbon intensity and metering, unless others are asked for."""
    asked = set(changed(execution))
    metering = None if asked & {field.name for field in fields(Metering)} else recorded_metering(store, rows)
    if metering is not None:
        execution = replace(execution, **asdict(metering))
    recorded = None if asked & {"country", "carbon_intensity", "pue"} else recorded_carbon(store, rows)
    return execution if recorded is None else execution.with_carbon(recorded)


def recorded_carbon(store: Store, rows: Sequence[RunRow]) -> Carbon | None:
    """The carbon intensity and PUE of the study's recorded trials; None if there are none yet."""
    of_study = store.trials(run_ids=_with_all_parts(store, rows))
    if of_study.empty:
        return None
    first = of_study.iloc[0]
    # As plain numbers: costs computed from them are saved in checkpoints, which refuse NumPy's.
    known = of_study.astype(object).where(of_study.notna(), None).iloc[0]
    return Carbon(
        intensity_g_per_kwh=float(first.carbon_g_per_kwh),
        source=first.carbon_source,
        pue=float(first.pue),
        region=known["carbon_region"],
        year=None if known["carbon_year"] is None else int(known["carbon_year"]),
    )


def recorded_metering(store: Store, rows: Sequence[RunRow]) -> Metering | None:
    """The meters' period and power model options of the study's recorded nodes; None if there are none yet."""
    of_study = store.nodes(run_ids=_with_all_parts(store, rows))
    recorded = of_study.meter_params_json.dropna()
    if recorded.empty:
        return None
    params = json.loads(recorded.iloc[0])
    return Metering(meter_period=params["period_s"], **params.get("given", {}))


def _with_all_parts(store: Store, rows: Sequence[RunRow]) -> list[str]:
    """The ids of all runs of the rows' study, all of its parts included."""
    runs = store.runs(["run_id", "study_id"])
    return list(runs[runs.study_id.fillna("").map(base_id) == base_id(rows[0].study_id)].run_id)
