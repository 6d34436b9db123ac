"""Runs a study: one Ray for all of it, one run after the other."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_kd.cluster.interruption import terminable
from tune_kd.cluster.session import ray_session
from tune_kd.config import policy_file
from tune_kd.data import ImageData
from tune_kd.data.batches import steps_per_epoch
from tune_kd.errors import Interrupted, RunFailed
from tune_kd.execution.outputs_in_use import OutputsInUse
from tune_kd.execution.teacher_pass import asks
from tune_kd.history.records import RunRow, largest_share
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.store import Store
from tune_kd.tasks.chance import no_better
from tune_kd.training.teacher import Teacher

if TYPE_CHECKING:
    from tune_kd.execution.ray_study import RayStudy


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A study that has been run: its records are in the store."""

    study: Study
    store: Store
    statuses: dict[str, str]  # run_id: completed, stopped or failed


def execute(
    study: Study,
    rows: Mapping[str, RunRow],
    data: ImageData,
    store: Store,
    execution: Execution,
    progress: Progress,
) -> Outcome:
    """Run every run of the study in turn. A run that fails does not keep the rest from running.

    ``rows`` are the runs' rows of the store, by run id. Raises RunFailed at the end if a run had no trial that
    ended well, Interrupted when the user or a SIGTERM stops it.
    """
    from tune_kd.execution import ray_study  # Ray: not before there is something to run

    statuses: dict[str, str] = {}
    try:
        progress.study_started(study, store.location)
        progress.stage("starting Ray")
        with terminable(), ray_session(execution.address) as ray:
            taught = execution.train_teacher or is_taught(study, data)
            with ray_study.opened(ray, data, study.scenario, execution, progress, taught=taught) as on_ray:
                if on_ray.teacher and (chance := no_better_than_chance(on_ray.teacher, data)):
                    progress.note(f"teacher: {chance}")
                _run_all(study, rows, store, on_ray, execution, progress, statuses)
    except KeyboardInterrupt:
        raise interrupted(study, store, execution) from None
    finally:
        progress.close()
    outcome = Outcome(study=study, store=store, statuses=statuses)
    failed = [run_id for run_id, status in statuses.items() if status == "failed"]
    if failed:
        first = str(store.runs(run_ids=failed[:1]).error.item())
        raise RunFailed(f"{len(failed)} of {len(statuses)} runs failed; the first, {failed[0]}: {first}", outcome)
    return outcome


def interrupted(study: Study, store: Store, execution: Execution) -> Interrupted:
    """The error of a study that was stopped: how far it is, and the command that resumes it."""
    planned = store.runs(run_ids=[plan.run_id for plan in study.runs])
    done = int((planned.status == "completed").sum())
    return Interrupted(
        f"interrupted: {done} of {len(study.runs)} runs are complete and every finished trial is in "
        f"{store.location}; go on with: tune-kd resume {study.study_id} --store {shlex.quote(store.location)}"
        f"{execution.home.option}"
    )


def _run_all(
    study: Study,
    rows: Mapping[str, RunRow],
    store: Store,
    on_ray: RayStudy,
    execution: Execution,
    progress: Progress,
    statuses: dict[str, str],
) -> None:
    """Each run of the study in turn; ``statuses`` gets how each ended, by run id.

    Raises KeyboardInterrupt after a run that the user stopped.
    """
    from tune_kd.execution.run import execute_run

    names = {plan.run_id: on_ray.outputs_name(plan) for plan in study.runs}
    with OutputsInUse(on_ray.outputs_folder, progress.note) as uses:
        for index, plan in enumerate(study.runs):
            name = names[plan.run_id]
            uses.hold(name, [left.run_id for left in study.runs[index:] if names[left.run_id] == name])
            status = execute_run(plan, rows[plan.run_id], store, on_ray, execution, progress)
            statuses[plan.run_id] = status
            if status == "stopped":
                raise KeyboardInterrupt
            uses.give_up(name, plan.run_id)


@policy_file.explained()
def is_taught(study: Study, data: ImageData) -> bool:
    """Does a trial of the study ask the teacher? The student alone does not, nor does a loss without distillation."""
    steps = steps_per_epoch(len(data.train), study.scenario.recipe.batch_size)
    return any(asks(plan, steps) for plan in study.runs)


def no_better_than_chance(teacher: Teacher, data: ImageData) -> str | None:
    """A line about a teacher that is no better than always naming the largest class; None about a better one."""
    labels = data.validation.labels
    return no_better(teacher.val_score, largest_share(labels), len(labels))
