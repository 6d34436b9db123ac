"""Runs a study: one Ray for all of it, one Tuner a run, every event journaled as it comes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_kd.budget.ledger import Ledger
from tune_kd.budget.target_track import Target
from tune_kd.cluster.interruption import interruptible, terminable
from tune_kd.cluster.session import ray_session, resources
from tune_kd.config import policy_file
from tune_kd.data import ImageData
from tune_kd.data.batches import steps_per_epoch
from tune_kd.errors import Interrupted, RunFailed
from tune_kd.events import Event, Listener
from tune_kd.execution import teacher_pass
from tune_kd.execution.outputs_in_use import OutputsInUse
from tune_kd.history.records import NodeRows, RunRow, largest_share
from tune_kd.planning import teacher_sharing
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import RunPlan, Study
from tune_kd.progress.base import Progress
from tune_kd.store import Store
from tune_kd.tasks.chance import no_better
from tune_kd.training.teacher import Teacher

if TYPE_CHECKING:
    from tune_kd.cluster.nodes import Cluster
    from tune_kd.execution.ray_study import Workshop


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

    ``rows`` are the runs' rows in the store, by run id. Raises RunFailed at the end if a run had no trial that
    ended well, Interrupted when the user or a SIGTERM stops it.
    """
    location = store.location
    from tune_kd.execution.ray_study import Workshop  # Ray: not before there is something to run

    statuses: dict[str, str] = {}
    try:
        progress.study_started(study, location)
        progress.stage("starting Ray")
        with terminable(), ExitStack() as stack:
            ray = stack.enter_context(ray_session(execution.address))
            fits = resources(ray, execution.cpus_per_trial, execution.gpus_per_trial, execution.max_concurrent)
            workshop = Workshop(
                ray,
                fits,
                data,
                study.scenario,
                carbon=execution.carbon,
                cache=execution.home,
                metering=execution,
                progress=progress,
                taught=execution.train_teacher or is_taught(study, data),
            )
            stack.callback(workshop.close)
            workshop.open()
            if workshop.teacher and (chance := worth_of(workshop.teacher, data)):
                progress.note(f"teacher: {chance}")
            _run_all(study, rows, store, workshop, execution, progress, statuses)
    except KeyboardInterrupt:
        done = sum(status == "completed" for status in statuses.values())
        raise Interrupted(
            f"interrupted: {done} of {len(study.runs)} runs are complete and every finished trial is in "
            f"{location}; go on with: tune-kd resume {study.study_id} --store {shlex.quote(location)}"
            f"{execution.home.option}"
        ) from None
    finally:
        progress.close()
    outcome = Outcome(study=study, store=store, statuses=statuses)
    failed = [run_id for run_id, status in statuses.items() if status == "failed"]
    if failed:
        first = str(store.runs(run_ids=failed[:1]).error.item())
        raise RunFailed(f"{len(failed)} of {len(statuses)} runs failed; the first, {failed[0]}: {first}", outcome)
    return outcome


def _run_all(
    study: Study,
    rows: Mapping[str, RunRow],
    store: Store,
    workshop: Workshop,
    execution: Execution,
    progress: Progress,
    statuses: dict[str, str],
) -> None:
    """Each run of the study in turn; ``statuses`` gets how each ended, by run id. A user's stop is an interrupt."""
    names = {plan.run_id: workshop.outputs_name(plan) for plan in study.runs}
    with OutputsInUse(workshop.outputs_folder, progress.note) as uses:
        for place, plan in enumerate(study.runs):
            name = names[plan.run_id]
            uses.hold(name, [left.run_id for left in study.runs[place:] if names[left.run_id] == name])
            statuses[plan.run_id] = _run(plan, rows[plan.run_id], store, workshop, execution, progress)
            if statuses[plan.run_id] == "stopped":
                raise KeyboardInterrupt
            uses.give_up(name, plan.run_id)


@policy_file.explained()
def is_taught(study: Study, data: ImageData) -> bool:
    """Does some trial of the study ask the teacher? Not those of the student alone, nor those of a loss without it."""
    steps = steps_per_epoch(len(data.train), study.scenario.recipe.batch_size)
    return any(teacher_pass.asks(plan, steps) for plan in study.runs)


def worth_of(teacher: Teacher, data: ImageData) -> str | None:
    """What is to be said of a teacher that is no better than always naming the largest class; None of a better one."""
    labels = data.validation.labels
    return no_better(teacher.val_accuracy, largest_share(labels), len(labels))


@policy_file.explained()
def _run(plan: RunPlan, row: RunRow, store: Store, workshop: Workshop, execution: Execution, progress: Progress) -> str:
    """One run from its first trial to its sealed records; its status."""
    from tune_kd.execution.recorder import Recorder
    from tune_kd.execution.tune import BudgetedSearcher, BudgetStopper, TuneEvents, TuneListener
    from tune_kd.history.run_history import past_of

    with store.lease(plan.run_id):
        past = past_of(store, plan.run_id, execution.max_failures)
        target = None if plan.target_accuracy is None else Target(accuracy=plan.target_accuracy)
        ledger = Ledger(budget=plan.budget, max_trials=plan.max_trials, target=target)
        for event in past.events:
            ledger(event)
        searcher = plan.policy.searcher(plan.space, plan.seed)
        past.replay(searcher)
        if scheduler := plan.policy.scheduler():
            past.retell(scheduler)
        row.start(store, workshop.teacher, workshop.resources, execution.carbon)
        nodes = NodeRows(store, plan.run_id)
        # Already now: a driver that is killed leaves its trials' hardware behind, if not their node's totals.
        nodes.write(workshop.cluster.machines.values())
        workshop.cluster.restart()
        progress.run_started(plan, ledger)
        shares = teacher_sharing.pays(plan) if execution.share_teacher is None else execution.share_teacher
        shared = workshop.share(plan, outputs=shares and workshop.teacher is not None)
        recorder = Recorder(store, workshop.examiner(shared), workshop.cluster.meters, execution.carbon, ledger)
        lost_nodes = record_lost_nodes(nodes, workshop.cluster)
        listeners: list[Listener] = [workshop.cluster.watch, ledger, recorder, lost_nodes, progress.event]
        source = TuneEvents(plan, execution.carbon, listeners, past)
        for sealed in past.untested:
            recorder.examine_late(sealed)
        tuner = workshop.tuner(
            shared,
            searcher=BudgetedSearcher(searcher, ledger, source, workshop.cluster.room),
            scheduler=scheduler,
            stopper=BudgetStopper(ledger, source),
            listener=TuneListener(source, workshop.cluster.meters.keep_up),
            max_failures=execution.max_failures,
        )
        try:
            with interruptible(source, progress):
                if source.has_unfinished or ledger.may_start():
                    if shared.outputs:
                        pass_ = teacher_pass.TeacherPass(workshop, shared, plan, ledger, source, progress)
                        row.share(store, pass_.run(row.shared_cost))
                    tuner.fit()
                    if shared.outputs:
                        pass_.check()
        finally:
            source.abandon()
            recorder.finish()
            nodes.write(workshop.cluster.rows())
        unmeasured = [f"the energy of some epochs was not measured: {reason}" for reason in source.unmeasured]
        for problem in [*recorder.problems, *source.tracebacks, *unmeasured]:
            progress.note(problem)
        if source.failure:
            raise source.failure
        status, error = source.verdict()
        row.end(store, ledger, status, error)
        if status == "completed":
            workshop.prune(shared, keep=store.incumbent(plan.run_id))
        progress.run_ended(plan, status)
    return status


def record_lost_nodes(nodes: NodeRows, cluster: Cluster) -> Listener:
    """A listener that writes the run's nodes as soon as one is lost: the driver may not live to do it at the end."""

    def listen(event: Event) -> None:
        if cluster.has_lost_one():
            nodes.write(cluster.rows(last_word=False))

    return listen
