"""Runs a study: one Ray and one pool of workers for all of its runs, those of all its parts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

from tune_kd.cluster.interruption import interruptible, terminable
from tune_kd.cluster.session import ray_session
from tune_kd.config import policy_file
from tune_kd.errors import Interrupted, RunFailed
from tune_kd.execution.outputs_in_use import OutputsInUse
from tune_kd.history.records import RunRow
from tune_kd.meter.quiet import look, wait_for_quiet
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.progress.logs import Together, with_logs
from tune_kd.progress.timed import Timed
from tune_kd.results.outcome import Outcome
from tune_kd.results.store import RecordedStore
from tune_kd.store import Store
from tune_kd.store.ids import base_id
from tune_kd.tasks.base import Data
from tune_kd.tasks.chance import no_better

if TYPE_CHECKING:
    from tune_kd.execution.pool import Pool
    from tune_kd.execution.ray_study import RayPart
    from tune_kd.execution.run import Run

WAIT_S = 0.1
"""How often it is asked whether the first run's teacher is there, in seconds."""

Part = tuple[Study, Data]
"""A part of a study: runs with one scenario, and its data. Most studies have one."""


def execute(
    parts: Sequence[Part], rows: Mapping[str, RunRow], store: RecordedStore, execution: Execution, progress: Progress
) -> Outcome:
    """Run every run of a study, its parts in their order. A run that fails does not keep the rest from running.

    ``rows`` are the runs' rows of the store, by run id. Raises RunFailed at the end if a run had no trial that
    ended well or a teacher could not be trained, Interrupted when the user or a SIGTERM stops it.
    """
    from tune_kd.execution import ray_study  # Ray: not before there is something to run

    study, progress = joined([part for part, _ in parts]), with_logs(progress, execution.logs)
    if len(parts) == 1:
        progress = Together(progress, [Timed(study, execution)])
    try:
        progress.study_started([part for part, _ in parts], store.location)
        _look_for_other_load(execution, progress)
        progress.stage("starting Ray")
        with (
            terminable(),
            ray_session(execution.address) as ray,
            ray_study.opened(ray, execution, progress) as on_ray,
            OutputsInUse(execution.home.folder, progress.note) as uses,
        ):
            on_ray_parts = ray_study.parts_on_ray(on_ray, parts, execution, progress)
            statuses, failed_teachers = _run_all(on_ray_parts, rows, store, uses, execution, progress)
    except KeyboardInterrupt:
        raise interrupted(study, store, execution) from None
    finally:
        progress.close()
    outcome = Outcome(study=study, store=store, statuses=statuses)
    if failure := _failure(on_ray_parts, failed_teachers, outcome):
        raise failure
    return outcome


def _look_for_other_load(execution: Execution, progress: Progress) -> None:
    """Wait for a quiet machine, or say that it is none. Of a cluster's nodes only this one is looked at."""
    if execution.wait_for_quiet:
        wait_for_quiet(progress.busy)
    elif not (load := look()).is_quiet:
        progress.busy(f"{load}: trials take longer, and cost more where energy is modelled; --wait-for-quiet waits")


def joined(parts: Sequence[Study]) -> Study:
    """All parts as one study, under the id that they share."""
    runs = tuple(chain.from_iterable(part.runs for part in parts))
    study_id = parts[0].study_id if len(parts) == 1 else base_id(parts[0].study_id)
    return Study(study_id=study_id, name=parts[0].name, runs=runs)


def interrupted(study: Study, store: Store, execution: Execution) -> Interrupted:
    """The error of a study that was stopped: how far it is, and the command that resumes it."""
    planned = store.runs(run_ids=[plan.run_id for plan in study.runs])
    done = int((planned.status == "completed").sum())
    return Interrupted(
        f"interrupted: {done} of {len(study.runs)} runs are complete and every finished trial is in "
        f"{store.location}; go on with: {execution.resumed_by(study.study_id, store.location)}"
    )


@policy_file.explained()
def _run_all(
    parts: Sequence[RayPart],
    rows: Mapping[str, RunRow],
    store: Store,
    uses: OutputsInUse,
    execution: Execution,
    progress: Progress,
) -> tuple[dict[str, str], dict[str, RunFailed]]:
    """Run all runs on one pool; how each ended, by run id, and the teachers that could not be trained, by their id.

    Raises KeyboardInterrupt where the user has stopped it.
    """
    from tune_kd.execution.pool import Pool
    from tune_kd.execution.run import Run

    runs = [
        Run(plan, rows[plan.run_id], store=store, part=part, uses=uses, execution=execution, progress=progress)
        for part in parts
        for plan in part.plans
    ]
    _hold_outputs(runs, uses)
    pool = Pool(runs, parts[0].study.room)
    with interruptible(pool, progress):
        try:
            _fit(pool, parts, execution, progress)
        except KeyboardInterrupt:
            pool.interrupted = True
        except Exception as failure:  # of Tune or Ray: no run has come to its end by it
            pool.failure = pool.failure or failure
        finally:
            pool.close()
    if pool.interrupted:
        raise KeyboardInterrupt
    return {run.plan.run_id: run.status for run in runs}, pool.teacher_failures


def _hold_outputs(runs: Sequence[Run], uses: OutputsInUse) -> None:
    """Keep the teacher's outputs of each replicate for all runs that may share them, before one looks for any."""
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        by_name.setdefault(run.part.outputs_name(run.plan), []).append(run)
    for name, sharing in by_name.items():
        uses.hold(name, [run.plan.run_id for run in sharing], sharing[0].part.uses(sharing[0].plan))


def _fit(pool: Pool, parts: Sequence[RayPart], execution: Execution, progress: Progress) -> None:
    """Do the pool's jobs, to the last or until it is stopped."""
    from tune_kd.execution.tuner import make_tuner

    study = parts[0].study
    untold = {part.teacher_id: part for part in parts if part.taught}

    def each_step() -> None:
        study.cluster.meters.keep_up()
        for part in [part for part in untold.values() if study.teachers.there(part.teacher_id)]:
            del untold[part.teacher_id]
            _note_a_bad_teacher(part, progress)

    while not pool.ready and not pool.interrupted:
        time.sleep(WAIT_S)
    if not pool.interrupted:
        make_tuner(study, pool, each_step, max_failures=execution.max_failures).fit()


def _note_a_bad_teacher(part: RayPart, progress: Progress) -> None:
    """A line about a teacher that is no better than always naming the largest class; none about a better one."""
    if part.largest_class is None:
        return
    with suppress(RunFailed):  # said when the study ends
        teacher = part.study.teachers.get(part.teacher_id)
        if chance := no_better(teacher.val_score, *part.largest_class):
            progress.note(f"teacher: {chance}")


def _failure(parts: Sequence[RayPart], failed_teachers: Mapping[str, RunFailed], outcome: Outcome) -> RunFailed | None:
    """What went wrong, in one line; None if nothing did."""
    lines = [line for part in parts if (line := _failure_of(part, failed_teachers, outcome))]
    if not lines:
        return None
    text = lines[0] if len(parts) == 1 else f"{len(lines)} of {len(parts)} parts failed; the first: {lines[0]}"
    return RunFailed(text, outcome)


def _failure_of(part: RayPart, failed_teachers: Mapping[str, RunFailed], outcome: Outcome) -> str | None:
    if part.teacher_id in failed_teachers:
        return str(failed_teachers[part.teacher_id])
    failed = [plan.run_id for plan in part.plans if outcome.statuses[plan.run_id] == "failed"]
    if not failed:
        return None
    first = str(outcome.store.runs(run_ids=failed[:1]).error.item())
    return f"{len(failed)} of {len(part.plans)} runs failed; the first, {failed[0]}: {first}"
