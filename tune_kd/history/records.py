"""Rows of the ``runs`` and ``nodes`` tables: all that a run needs to be repeated and judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tune_kd.budget.ledger import Ledger
from tune_kd.cluster.code import code
from tune_kd.cluster.session import Resources
from tune_kd.config import catalogue
from tune_kd.config.scenario import scenario_sha256, to_record
from tune_kd.data import ImageData
from tune_kd.events import utc_now
from tune_kd.history import records
from tune_kd.meter.carbon import Carbon
from tune_kd.planning.plan import RunPlan, Study, space_record
from tune_kd.store import Store
from tune_kd.training.teacher import Teacher


def planned(study: Study, plan: RunPlan, data: ImageData) -> dict[str, Any]:
    """The row of a run before it starts."""
    scenario = to_record(plan.scenario)
    return {
        "run_id": plan.run_id,
        "study": study.name,
        "study_id": study.study_id,
        "scenario": plan.scenario.name,
        "scenario_json": scenario,
        "scenario_sha256": scenario_sha256(plan.scenario),
        "equivalence_margin": plan.scenario.equivalence_margin,
        "policy": plan.label,
        "policy_json": catalogue.policy_record(plan.policy),
        "policy_sha256": catalogue.policy_sha256(plan.policy),
        "space": plan.space.name,
        "space_json": space_record(plan.space),
        "replicate": plan.replicate,
        "seed": plan.seed,
        "study_seed": plan.study_seed,
        "track": plan.track,
        "budget_currency": plan.budget.currency,
        "budget_limit": plan.budget.limit,
        "budget_text": plan.budget_text,
        "target_accuracy": plan.target_accuracy,
        "split_sha256": data.split_sha256,
        "val_images": len(data.validation),
        "val_prevalence": largest_share(data.validation.labels),
        "skipped_images": data.skipped_images,
        "left_out_json": json.dumps(data.left_out, ensure_ascii=False, sort_keys=True),
        "status": "planned",
        **code(),
    }


def largest_share(labels: NDArray[np.int64]) -> float:
    """The largest class's share of ``labels``: what naming it every time would score."""
    return float(np.bincount(labels).max() / len(labels))


def started(row: dict[str, Any], teacher: Teacher | None, resources: Resources, carbon: Carbon) -> dict[str, Any]:
    """The row of a run once it starts, or goes on. Without a teacher nothing is said of one."""
    return {
        **row,
        **({} if teacher is None else _taught_by(teacher, carbon)),
        "cpus_per_trial": resources.cpus,
        "gpus_per_trial": resources.gpus,
        "started_at": row.get("started_at") or utc_now(),
        "ended_at": None,
        "error": None,
        "status": "running",
    }


def _taught_by(teacher: Teacher, carbon: Carbon) -> dict[str, Any]:
    return {
        "teacher_id": teacher.teacher_id,
        "teacher_energy_j": teacher.energy_j,
        "teacher_co2e_g": carbon.co2e_g(teacher.energy_j),
        "teacher_flops": teacher.flops,
        "teacher_duration_s": teacher.duration_s,
        "teacher_val_accuracy": teacher.val_accuracy,
        "teacher_test_accuracy": teacher.test_accuracy,
    }


def ended(ledger: Ledger, status: str, error: str | None) -> dict[str, Any]:
    """What is known of a run once it is over."""
    return {
        "spent": ledger.spent,
        "overshoot": ledger.overshoot,
        "ended_at": utc_now(),
        "status": status,
        "error": error,
    }


def plain_rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of the store as plain values, None where null, ready to be written again."""
    frame = frame.drop(columns="schema_version")
    for row in frame.astype(object).where(frame.notna(), None).to_dict("records"):
        yield {str(name): value for name, value in row.items()}


def plan_rows(study: Study, data: ImageData, store: Store) -> dict[str, dict[str, Any]]:
    """Write the whole plan before anything of it is run; the rows by run id."""
    rows = {plan.run_id: records.planned(study, plan, data) for plan in study.runs}
    for row in rows.values():
        store.write_run(row)
    return rows


def nodes_of(store: Store, run_id: str) -> list[dict[str, Any]]:
    """The run's rows of ``nodes`` so far, as plain values: those of a run that is resumed."""
    return list(records.plain_rows(store.nodes(run_ids=[run_id])))
