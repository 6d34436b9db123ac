"""More replicates for a study that is there: the same policies and budget, and only what has not been planned yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tune_kd.config.seeds import replicate_seed
from tune_kd.errors import InputError, unknown
from tune_kd.formats import plural
from tune_kd.history import records
from tune_kd.history.resume import plan_of
from tune_kd.planning.plan import RunPlan, Study
from tune_kd.store import Store
from tune_kd.store.ids import run_id


def study_rows(store: Store, study_id: str) -> list[dict[str, Any]]:
    """The rows of a study's runs, in the order of their replicates. Raises InputError."""
    runs = store.runs()
    named = runs[runs.study_id == study_id]
    if named.empty:
        raise unknown("study", study_id, sorted(runs.study_id.dropna().unique()))
    return list(records.plain_rows(named.sort_values("replicate", kind="stable")))


def extend_study(store: Store, study_id: str, replicates: int) -> Study:
    """The runs that bring a study to ``replicates`` in all; those it has are not run again.

    Each new one gets the seed it would have had in a study planned with so many from the start, so replicates
    stay paired across policies. Raises InputError.
    """
    rows = study_rows(store, study_id)
    known = [plan_of(row) for row in rows]
    there = {(plan.label, plan.replicate) for plan in known}
    policies = {plan.label: plan for plan in known}.values()
    most = max(plan.replicate for plan in known) + 1
    if replicates <= most:
        raise InputError(
            f"study {study_id} has {plural(most, 'replicate')} already; --replicates must be more, got {replicates}"
        )
    runs = tuple(
        _again(plan, replicate)
        for replicate in range(replicates)
        for plan in policies
        if (plan.label, replicate) not in there
    )
    return Study(study_id=study_id, name=rows[0]["study"], runs=runs)


def take_over_changes(
    rows: Mapping[str, dict[str, Any]], study: Study, before: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The new runs' rows with what was forced to differ from the study's earlier ones."""
    forced = {row["policy"]: row.get("forced_changes") for row in before}
    return {plan.run_id: {**rows[plan.run_id], "forced_changes": forced[plan.label]} for plan in study.runs}


def _again(plan: RunPlan, replicate: int) -> RunPlan:
    return replace(
        plan,
        run_id=run_id(plan.study_id, plan.label, replicate),
        replicate=replicate,
        seed=replicate_seed(plan.study_seed, replicate),
    )
