"""A study of several comparisons: all planned first, then executed one after the other, each on its own data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tune_kd.cluster.session import ray_session
from tune_kd.errors import Interrupted, RunFailed
from tune_kd.execution.inputs import read_data, show_data
from tune_kd.execution.study import Outcome, execute, interrupted
from tune_kd.history.records import RunRow
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.store import Store
from tune_kd.store.ids import base_id


def planned_rows(comparisons: Sequence[Study], execution: Execution, progress: Progress) -> dict[str, RunRow]:
    """The rows of all runs before they start, by run id; not written. One data set at a time is in memory."""
    rows, shown = dict[str, RunRow](), set[str]()
    for comparison in comparisons:
        data = read_data(comparison, execution, progress)
        show_data(data, progress, shown)
        rows.update({plan.run_id: RunRow.planned(comparison, plan, data) for plan in comparison.runs})
    return rows


def execute_all(
    comparisons: Sequence[Study], rows: Mapping[str, RunRow], store: Store, execution: Execution, progress: Progress
) -> Outcome:
    """Execute the comparisons in turn, on one Ray. One that fails does not keep the rest from running.

    Raises RunFailed at the end if one failed, Interrupted when the user stops it.
    """
    study = joined(comparisons)
    statuses: dict[str, str] = {}
    failures: list[RunFailed] = []
    progress.stage("starting Ray")
    with ray_session(execution.address):
        for comparison in comparisons:
            data = read_data(comparison, execution, progress)
            try:
                statuses |= execute(comparison, rows, data, store, execution, progress).statuses
            except RunFailed as failure:
                failures.append(failure)
                statuses |= failure.outcome.statuses if failure.outcome else {}
            except Interrupted:
                raise interrupted(study, store, execution) from None
    outcome = Outcome(study=study, store=store, statuses=statuses)
    if len(comparisons) == 1 and failures:
        raise failures[0]
    if failures:
        raise RunFailed(f"{len(failures)} of {len(comparisons)} parts failed; the first: {failures[0]}", outcome)
    return outcome


def joined(comparisons: Sequence[Study]) -> Study:
    """All comparisons as one study, under the id that they share."""
    runs = tuple(plan for comparison in comparisons for plan in comparison.runs)
    return Study(study_id=base_id(comparisons[0].study_id), name=comparisons[0].name, runs=runs)
