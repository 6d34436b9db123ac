"""More replicates for a recorded study: the same policies and budget, and only runs that are not planned yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tune_kd.config.seeds import replicate_seed
from tune_kd.errors import InputError, unknown
from tune_kd.formats import plural
from tune_kd.history.records import RunRow, run_rows
from tune_kd.planning.plan import RunPlan, Study
from tune_kd.store import Store
from tune_kd.store.ids import run_id


def study_rows(store: Store, study_id: str) -> list[RunRow]:
    """The rows of a study's runs, in the order of their replicates. Raises InputError."""
    runs = store.runs()
    named = runs[runs.study_id == study_id]
    if named.empty:
        raise unknown("study", study_id, sorted(runs.study_id.dropna().unique()))
    return run_rows(named.sort_values("replicate", kind="stable"))


def extend_study(store: Store, study_id: str, replicates: int) -> Study:
    """The new runs that bring a study to ``replicates`` in all.

    Each gets the seed that it would have had in a study planned with so many replicates from the start, so
    replicates stay paired across policies. Raises InputError if there is nothing to add.
    """
    rows = study_rows(store, study_id)
    looks, most = rows[0].plan().looks, max(row.plan().replicate for row in rows) + 1
    if looks is not None:
        raise InputError(
            f"study {study_id} was planned to stop once it is decided, at {looks.replicates[-1]} replicates at the "
            f"latest, and its error rates hold for that alone; go on with it by tune-kd resume {study_id}"
        )
    if replicates <= most:
        raise InputError(
            f"study {study_id} has {plural(most, 'replicate')} already; --replicates must be more, got {replicates}"
        )
    return added_runs(rows, replicates)


def added_runs(rows: Sequence[RunRow], replicates: int, policies: Sequence[str] | None = None) -> Study:
    """The runs that bring some ``policies``, by their names in the study, to ``replicates``; None: all policies.

    ``rows`` are those of the whole study.
    """
    known = [row.plan() for row in rows]
    there = {(plan.label, plan.replicate) for plan in known}
    extended = {plan.label: plan for plan in known if policies is None or plan.label in policies}.values()
    runs = tuple(
        _again(plan, replicate, replicates)
        for replicate in range(replicates)
        for plan in extended
        if (plan.label, replicate) not in there
    )
    return Study(study_id=rows[0].study_id, name=rows[0].study_name, runs=runs)


def take_over_changes(rows: Mapping[str, RunRow], before: Sequence[RunRow]) -> None:
    """Note in the new runs' rows what was forced to differ in the study's earlier runs of the same policy."""
    forced = {row.plan().label: row.forced_changes for row in before}
    for row in rows.values():
        row.force(forced[row.plan().label])


def _again(plan: RunPlan, replicate: int, replicates: int) -> RunPlan:
    return replace(
        plan,
        run_id=run_id(plan.study_id, plan.label, replicate),
        replicate=replicate,
        seed=replicate_seed(plan.study_seed, replicate),
        planned_replicates=replicates,
    )
