"""A comparison that stops once it is decided: look after look, until every verdict is there or no look is left.

The looks were settled and recorded with the study's first runs (:mod:`tune_kd.planning.looks`); what they say is in
:mod:`analysis.until_decided`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tune_kd.errors import RunFailed
from tune_kd.execution.study import execute
from tune_kd.history.extend import added_runs, study_rows, take_over_changes
from tune_kd.history.records import plan_rows
from tune_kd.planning.execution_options import Execution
from tune_kd.progress.base import Progress
from tune_kd.results.looks import standing_of
from tune_kd.results.outcome import Outcome
from tune_kd.results.store import RecordedStore
from tune_kd.tasks.base import Data

if TYPE_CHECKING:
    from analysis.until_decided import Standing

Runs = Callable[[], Outcome]
"""Runs that are planned, to be executed by calling it."""


def look_after_look(first: Runs, then: Callable[[], Runs | None]) -> Outcome:
    """Run what comes ``first``, then what each further look needs, which ``then`` says: None once nothing is needed.

    A run that fails is missing at its look, and keeps no policy from going on. Raises RunFailed at the end, with the
    first failure's text.
    """
    runs: Runs | None = first
    outcomes, failures = list[Outcome](), list[RunFailed]()
    while runs is not None:
        try:
            outcomes.append(runs())
        except RunFailed as failure:
            if failure.outcome is None:
                raise
            failures.append(failure)
            outcomes.append(failure.outcome)
        runs = then()
    outcome = _joined(outcomes)
    if failures:
        raise RunFailed(str(failures[0]), outcome)
    return outcome


def next_look(study_id: str, data: Data, store: RecordedStore, execution: Execution, progress: Progress) -> Runs | None:
    """Plan and write the runs that the study's next look needs; None where it needs none. It says how it stands."""
    standing = standing_of(store, study_id)
    if standing.next_look is None:
        progress.note(in_words(standing))
        return None
    before = study_rows(store, study_id)
    more = added_runs(before, standing.next_look, standing.open)
    if not more.runs:  # they are planned already and have not ended, as where one run alone was resumed
        return None
    progress.note(in_words(standing))
    rows = plan_rows(more, data, store)
    take_over_changes(rows, before)
    return partial(execute, [(more, data)], rows, store, execution, progress)


def in_words(standing: Standing) -> str:
    """'after 5 replicates: fixed equivalent, random inconclusive; on to 10 replicates of random, grid'."""
    verdicts = ", ".join(f"{label} {verdict}" for label, verdict in standing.verdicts.items())
    seen = f"after {standing.looked_at} replicates: {verdicts}"
    if standing.next_look is None:
        return f"{seen}; no further look"
    return f"{seen}; on to {standing.next_look} replicates of {', '.join(standing.open)}"


def _joined(outcomes: list[Outcome]) -> Outcome:
    """What came out of several parts of one study."""
    first = outcomes[0]
    runs = tuple(run for outcome in outcomes for run in outcome.study.runs)
    statuses = {run_id: status for outcome in outcomes for run_id, status in outcome.statuses.items()}
    return replace(first, study=replace(first.study, runs=runs), statuses=statuses)
