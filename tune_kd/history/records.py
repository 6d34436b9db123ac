"""Rows of the ``runs`` and ``nodes`` tables: all that a run needs to be repeated and judged."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tune_kd.config import catalogue
from tune_kd import own_packages
from tune_kd.budget.ledger import Ledger
from tune_kd.data import ImageData
from tune_kd.events import utc_now
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.power_model import this_machine
from tune_kd.planning.plan import RunPlan, Study, space_record
from tune_kd.config.scenario import Scenario, to_record
from tune_kd.cluster.session import Resources
from tune_kd.training.teacher import Teacher

PACKAGES = ("torch", "torchvision", "ray", "optuna", "codecarbon")


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


def scenario_sha256(scenario: Scenario) -> str:
    """By what runs of the same scenario are found: a hash of all of its fields."""
    return hashlib.sha256(to_record(scenario).encode()).hexdigest()


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


@functools.cache
def code() -> Mapping[str, Any]:
    """Version of tune-kd; revision and changes where it runs from a git checkout, else null.

    As it was when first asked: that is the code which this process runs.
    """
    revision = _git("rev-parse", "HEAD")
    return MappingProxyType(
        {
            "code_version": metadata.version("tune-kd"),
            "code_revision": revision,
            "code_dirty": None if revision is None else bool(_git("status", "--porcelain", "--untracked-files=no")),
        }
    )


def _git(*words: str) -> str | None:
    # Only our own checkout counts: an installed package may lie inside somebody else's repository.
    if not (own_packages.HOUSE / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", own_packages.HOUSE, *words], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def node(node_id: str) -> dict[str, Any]:
    """Hardware and software of the node that this process runs on; what its meter says comes from the meter."""
    machine = this_machine()
    return {
        "node_id": node_id,
        "cpu_model": machine.cpu_model,
        "cpus": machine.cpus,
        "ram_bytes": round(machine.ram_gib * 2**30),
        "os": platform.platform(),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in PACKAGES},
    }


# How the figures of a meter add up over the drivers of a resumed run.
ADDED = ("energy_total_j", "energy_trials_j", "energy_other_j", "energy_idle_j", "energy_residual_j", "samples")


def added_up(before: Iterable[dict[str, Any]], now: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nodes of a run that went on: a node's meter begins anew with each driver, so its totals are added up.

    The longest gap is the longest of all, coverage the mean by samples. A node that is gone keeps its row.
    """
    earlier = {row["node_id"]: row for row in before}
    rows = []
    for row in now:
        past = earlier.pop(row["node_id"], None)
        if past is None or not past["samples"]:
            rows.append(row)
        else:
            rows.append(_sum(past, row) if row.get("samples") else past)
    return [*earlier.values(), *rows]


def _sum(past: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    samples = past["samples"] + row["samples"]
    covered = past["coverage"] * past["samples"] + row["coverage"] * row["samples"]
    return {
        **row,
        **{name: past[name] + row[name] for name in ADDED},
        "longest_gap_s": max(past["longest_gap_s"], row["longest_gap_s"]),
        "coverage": covered / samples,
        "meters_beside_s": _known_sum(past.get("meters_beside_s"), row.get("meters_beside_s")),
        "meter_error": row["meter_error"] or past["meter_error"],
    }


def _known_sum(past: float | None, now: float | None) -> float | None:
    return None if past is None or now is None else past + now


def plain_rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of the store as plain values, None where null, ready to be written again."""
    frame = frame.drop(columns="schema_version")
    for row in frame.astype(object).where(frame.notna(), None).to_dict("records"):
        yield {str(name): value for name, value in row.items()}
