"""Several comparisons as the parts of one study: all planned first, then run one after another on data of their own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from tune_kd.cluster.session import ray_session
from tune_kd.data import ImageData
from tune_kd.data.summary import in_words, remarks
from tune_kd.errors import Interrupted, RunFailed
from tune_kd.execution.inputs import read_data
from tune_kd.execution.study import Outcome, execute
from tune_kd.history.records import RunRow
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.store import Store
from tune_kd.store.ids import base_id


def say(data: ImageData, progress: Progress, said: set[str]) -> None:
    """Say what the data are and what is to be known of them, but for what was ``said`` of them already."""
    line = in_words(data)
    if line in said:
        return
    said.add(line)
    progress.data_read(line)
    for text in remarks(data):
        progress.note(text)


def planned_rows(parts: Sequence[Study], execution: Execution, progress: Progress) -> dict[str, RunRow]:
    """The rows of all runs before they start. One data set at a time is in memory."""
    rows, said = dict[str, RunRow](), set[str]()
    for part in parts:
        data = read_data(part, execution, progress)
        say(data, progress, said)
        rows.update({plan.run_id: RunRow.planned(part, plan, data) for plan in part.runs})
    return rows


def execute_parts(
    parts: Sequence[Study], rows: Mapping[str, RunRow], store: Store, execution: Execution, progress: Progress
) -> Outcome:
    """Run the parts in turn, on one Ray; a part that fails does not keep the rest from running.

    Raises RunFailed at the end if one failed, Interrupted when the user stops it.
    """
    statuses: dict[str, str] = {}
    failures: list[RunFailed] = []
    progress.stage("starting Ray")
    with ray_session(execution.address):
        for part in parts:
            data = read_data(part, execution, progress)
            try:
                statuses |= execute(part, rows, data, store, execution, progress).statuses
            except RunFailed as failure:
                failures.append(failure)
                statuses |= failure.outcome.statuses if failure.outcome else {}
            except Interrupted:
                raise _interrupted(parts, store, execution) from None
    outcome = Outcome(study=joined(parts), store=store, statuses=statuses)
    if len(parts) == 1 and failures:
        raise failures[0]
    if failures:
        raise RunFailed(f"{len(failures)} of {len(parts)} parts failed; the first: {failures[0]}", outcome)
    return outcome


def joined(parts: Sequence[Study]) -> Study:
    """All parts as one study, under the id that they share."""
    runs = tuple(plan for part in parts for plan in part.runs)
    return Study(study_id=base_id(parts[0].study_id), name=parts[0].name, runs=runs)


def _interrupted(parts: Sequence[Study], store: Store, execution: Execution) -> Interrupted:
    study = joined(parts)
    planned = store.runs(run_ids=[plan.run_id for plan in study.runs])
    done = int((planned.status == "completed").sum())
    return Interrupted(
        f"interrupted: {done} of {len(study.runs)} runs are complete and every finished trial is in "
        f"{store.location}; go on with: tune-kd resume {study.study_id} --store {shlex.quote(store.location)}"
        f"{execution.home.option}"
    )
