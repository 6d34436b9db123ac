"""One run on Ray, from its first trial to its sealed records."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tune_kd.budget.ledger import Ledger
from tune_kd.budget.target_track import Target
from tune_kd.cluster.interruption import interruptible
from tune_kd.cluster.nodes import Cluster
from tune_kd.cluster.worker import Shared
from tune_kd.config import policy_file
from tune_kd.events import Event, Listener
from tune_kd.execution.ray_study import RayStudy
from tune_kd.execution.recorder import Recorder
from tune_kd.execution.teacher_pass import TeacherPass
from tune_kd.execution.tune import BudgetedSearcher, BudgetStopper, TuneEvents, TuneListener
from tune_kd.execution.tuner import make_tuner
from tune_kd.history.records import NodeRows, RunRow
from tune_kd.history.run_history import RunHistory, history_of
from tune_kd.planning import teacher_sharing
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import RunPlan
from tune_kd.progress.base import Progress
from tune_kd.storage import checkpoints
from tune_kd.store import Store


@policy_file.explained()
def execute_run(
    plan: RunPlan, row: RunRow, store: Store, study: RayStudy, execution: Execution, progress: Progress
) -> str:
    """Begin or resume the run, train its trials, and seal its records; its status: completed, stopped or failed."""
    with store.lease(plan.run_id):
        run = _Run(plan, row, store, study, execution, progress, history_of(store, plan.run_id, execution.max_failures))
        run.begin()
        live = run.connect()
        try:
            with interruptible(live.events, progress):
                if live.events.has_unfinished or run.ledger.may_start():
                    run.train(live)
        finally:
            run.seal(live)
        return run.close(live)


@dataclass(frozen=True, kw_only=True)
class _Live:
    """What exists only while the run's trials are trained."""

    shared: Shared  # with its workers
    recorder: Recorder
    events: TuneEvents


class _Run:
    """A run and its account: the ledger is charged, and searcher and scheduler know, what the run did before."""

    def __init__(
        self,
        plan: RunPlan,
        row: RunRow,
        store: Store,
        study: RayStudy,
        execution: Execution,
        progress: Progress,
        history: RunHistory,
    ) -> None:
        self._plan, self._row, self._store, self._study = plan, row, store, study
        self._execution, self._progress, self._history = execution, progress, history
        self.ledger = _ledger(plan, history)
        self._searcher: Searcher = plan.policy.searcher(plan.space, plan.seed)
        history.replay_searcher(self._searcher)
        self._scheduler: TrialScheduler | None = plan.policy.scheduler()
        if self._scheduler:
            history.replay_scheduler(self._scheduler)
        self._nodes = NodeRows(store, plan.run_id)

    def begin(self) -> None:
        """Record the start of the run, with its nodes, and let meters count from zero."""
        cluster = self._study.cluster
        self._row.start(self._store, self._study.teacher, self._study.resources, self._execution.carbon)
        # Already now: a driver that is killed leaves its trials' hardware behind, if not their node's totals.
        self._nodes.write(cluster.machines.values())
        cluster.restart()
        self._progress.run_started(self._plan, self.ledger)

    def connect(self) -> _Live:
        """Connect the stream of the run's events to all that consume it; test what was left untested before."""
        study, carbon = self._study, self._execution.carbon
        shared = study.share(self._plan, outputs=self._shares_outputs())
        examine = partial(study.tasks.examine, shared)
        recorder = Recorder(self._store, examine, study.cluster.meters, carbon, self.ledger)
        lost_nodes = _record_lost_nodes(self._nodes, study.cluster)
        listeners: list[Listener] = [study.cluster.watch, self.ledger, recorder, lost_nodes, self._progress.event]
        for sealed in self._history.untested:
            recorder.examine_late(sealed)
        return _Live(shared=shared, recorder=recorder, events=TuneEvents(self._plan, carbon, listeners, self._history))

    def train(self, live: _Live) -> None:
        """Have the shared outputs of the teacher computed, then train trials until searcher or budget end."""
        teacher_pass = self._share_teacher(live) if live.shared.outputs else None
        self._fit(live)
        if teacher_pass:
            teacher_pass.check()

    def seal(self, live: _Live) -> None:
        """Close and seal the records of all trials, and write what the nodes' meters counted."""
        live.events.abandon()
        live.recorder.finish()
        self._nodes.write(self._study.cluster.rows())

    def close(self, live: _Live) -> str:
        """Record how the run ended; its status. Raises what a listener raised while trials were trained."""
        unmeasured = [f"the energy of some epochs was not measured: {reason}" for reason in live.events.unmeasured]
        for problem in [*live.recorder.problems, *live.events.tracebacks, *unmeasured]:
            self._progress.note(problem)
        if live.events.failure:
            raise live.events.failure
        status, error = live.events.verdict()
        self._row.end(self._store, self.ledger, status, error)
        if status == "completed":
            incumbent = self._store.incumbent(self._plan.run_id)
            checkpoints.remove_others(self._study.cache.kept, self._plan.run_id, incumbent)
        self._progress.run_ended(self._plan, status)
        return status

    def _shares_outputs(self) -> bool:
        asked = self._execution.share_teacher
        shares = teacher_sharing.pays(self._plan) if asked is None else asked
        return shares and self._study.teacher is not None

    def _share_teacher(self, live: _Live) -> TeacherPass:
        teacher_pass = TeacherPass(self._study, live.shared, self._plan, self.ledger, live.events, self._progress)
        self._row.share(self._store, teacher_pass.run(self._row.shared_cost))
        return teacher_pass

    def _fit(self, live: _Live) -> None:
        cluster = self._study.cluster
        tuner = make_tuner(
            live.shared,
            self._study.tune_folder,
            searcher=BudgetedSearcher(self._searcher, self.ledger, live.events, cluster.room),
            scheduler=self._scheduler,
            stopper=BudgetStopper(self.ledger, live.events),
            listener=TuneListener(live.events, cluster.meters.keep_up),
            max_failures=self._execution.max_failures,
        )
        tuner.fit()


def _ledger(plan: RunPlan, history: RunHistory) -> Ledger:
    """The run's ledger, charged with what it has spent already."""
    target = None if plan.target_accuracy is None else Target(accuracy=plan.target_accuracy)
    ledger = Ledger(budget=plan.budget, max_trials=plan.max_trials, target=target)
    for event in history.events:
        ledger(event)
    return ledger


def _record_lost_nodes(nodes: NodeRows, cluster: Cluster) -> Listener:
    """A listener that writes the run's nodes as soon as one is lost: the driver may not live to do it at the end."""

    def listen(event: Event) -> None:
        if cluster.has_lost_one():
            nodes.write(cluster.rows(last_word=False))

    return listen
