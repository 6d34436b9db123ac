"""A study of several comparisons, each on its own data: all planned first, then executed as the parts of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tune_kd.execution.inputs import read_data, show_data, show_networks
from tune_kd.execution.study import execute
from tune_kd.history.records import RunRow
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.results.outcome import Outcome
from tune_kd.results.store import RecordedStore


def planned_rows(comparisons: Sequence[Study], execution: Execution, progress: Progress) -> dict[str, RunRow]:
    """The rows of all runs before they start, by run id; not written. One data set at a time is in memory."""
    rows, shown = dict[str, RunRow](), set[str]()
    for comparison in comparisons:
        data = read_data(comparison, execution, progress)
        show_data(data, progress, shown)
        show_networks(comparison.scenario, data, progress, shown)
        rows.update({plan.run_id: RunRow.planned(comparison, plan, data) for plan in comparison.runs})
    return rows


def execute_all(
    comparisons: Sequence[Study],
    rows: Mapping[str, RunRow],
    store: RecordedStore,
    execution: Execution,
    progress: Progress,
) -> Outcome:
    """Read the data of each comparison and execute all of them as one study. Raises as :func:`execute` does."""
    parts = [(comparison, read_data(comparison, execution, progress)) for comparison in comparisons]
    return execute(parts, rows, store, execution, progress)
