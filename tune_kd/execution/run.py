"""One run of a study on its pool: it hands out its jobs, takes in what comes of them, and seals its records.

A run's searcher, scheduler, budget, seeds and records are its own. Its jobs are parts of the teacher's outputs, trials,
and the tests of ended trials.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tune_kd.budget.ledger import Ledger
from tune_kd.budget.target_track import Target
from tune_kd.events import EpochReport, Event, Listener
from tune_kd.execution.outputs_in_use import OutputsInUse
from tune_kd.execution.ray_study import RayPart, needs_teacher, outputs_folder
from tune_kd.execution.recorder import Recorder
from tune_kd.execution.shared_pool import SharedPool
from tune_kd.execution.teacher_pass import TeacherPass
from tune_kd.execution.trials import RunTrials
from tune_kd.history.records import NodeRows, RunRow
from tune_kd.history.run_history import RunHistory, history_of
from tune_kd.planning import teacher_sharing
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import RunPlan
from tune_kd.progress.base import Progress
from tune_kd.storage import checkpoints
from tune_kd.store import Store
from tune_kd.synthesis.pool import trial_pools
from tune_kd.training.teacher import Teacher

Job = dict[str, Any]
"""What a worker is to do: ``job``, a name in :data:`tune_kd.cluster.worker.JOBS`, and what that takes."""


Test = dict[str, Any]
"""The attempt whose checkpoint is to be tested: ``trial_id`` and ``attempt``."""


class _Left(Exception):
    """A run is left as it is."""


class Run:
    """One run. Nothing of it is read or written before :meth:`begin`, and nothing after :meth:`close`."""

    ledger: Ledger

    def __init__(
        self,
        plan: RunPlan,
        row: RunRow,
        *,
        store: Store,
        part: RayPart,
        uses: OutputsInUse,
        execution: Execution,
        progress: Progress,
    ) -> None:
        self.plan, self.part = plan, part
        self._row, self._store, self._uses = row, store, uses
        self._execution, self._progress = execution, progress
        self._needs_teacher = needs_teacher(plan, part.steps, execution)
        self._held = ExitStack()
        self._tests: deque[Test] = deque()
        self._untested: deque[Test] = deque()  # of a job of several that failed: tested one by one
        self._at_work = 0  # jobs on workers
        self._pool_recorded = False
        self.scheduler: TrialScheduler | None = None
        self.status = "planned"

    @property
    def ready(self) -> bool:
        """May it begin, for the teacher is there that it needs?"""
        return not self._needs_teacher or self.part.study.teachers.there(self.part.teacher_id)

    def teacher(self) -> Teacher | None:
        """The teacher that it needs. Raises what obtaining it raised."""
        return self.part.study.teachers.get(self.part.teacher_id) if self._needs_teacher else None

    def begin(self) -> None:
        """Take the run's lease, bring searcher and ledger to what is recorded of it, and record its start.

        Raises InputError if another process drives it, and StoreError if it cannot be repeated.
        """
        plan, study, teacher = self.plan, self.part.study, self.teacher()
        self._held.enter_context(self._store.lease(plan.run_id))
        has_begun = self._row.has_begun  # of a new run there is nothing to read
        history = history_of(self._store, plan.run_id, self._execution.max_failures) if has_begun else RunHistory()
        self.ledger = _ledger(plan, history)
        self._most = self.part.job_size.most(plan, study.room())
        self._connect(history)
        self._row.start(self._store, teacher, study.resources, study.carbon)
        study.cluster.begin(plan.run_id)
        self._nodes = NodeRows(self._store, plan.run_id, new=not has_begun)
        # Already now: a driver that is killed leaves its trials' hardware behind, if not their node's totals.
        self._nodes.write(study.cluster.rows(plan.run_id))
        self._progress.run_started(plan, self.ledger)
        if has_begun:
            self._progress.known(plan, history.events)
        self._pool = self.part.pool(plan) if self._shares_images(history) else None
        self._pass = self._teacher_pass()
        reference = study.teachers.reference(self.part.teacher_id) if teacher else study.ray.put(None)
        self.shared = self.part.share(plan, reference, pool=self._pool, outputs=self._pass is not None)
        if self._pass:
            self._pass.begin(self._row.shared_cost, study.room())
            if self.trials.over:  # of a resumed run, tests may be all that is left
                self._pass.stop()
            if not self._pass.handed_out:
                self._progress.stage("asking the teacher, once for all trials")

    def _connect(self, history: RunHistory) -> None:
        """Connect the stream of the run's events to all that consume it; have tested what was left untested before."""
        plan, study = self.plan, self.part.study
        searcher: Searcher = plan.policy.searcher(plan.space, plan.seed)
        history = history.replay_searcher(searcher)
        self.scheduler = plan.policy.scheduler()
        if self.scheduler:
            history.replay_scheduler(self.scheduler)
        self._recorder = Recorder(self._store, self._ask_for_test, study.cluster.meters, study.carbon, self._told)
        listeners: list[Listener] = [
            study.cluster.watch,
            self.ledger,
            self._recorder,
            self._lost_nodes,
            self._progress.event,
        ]
        self.trials = RunTrials(plan, searcher, self.ledger, study.carbon, listeners, history)
        for sealed in history.untested:
            self._recorder.test_late(sealed)

    def _shares_images(self, history: RunHistory) -> bool:
        """Do its trials share synthesised images? A resumed run goes on as it began, a new one as the user says."""
        if self._row.pool_id is not None:
            return True
        reports = (event for event in history.events if isinstance(event, EpochReport))
        return self._execution.share_synthesis and not any(report.flops_synthesis for report in reports)

    def _teacher_pass(self) -> TeacherPass | None:
        asked, study = self._execution.share_teacher, self.part.study
        shares = teacher_sharing.pays(self.plan) if asked is None else asked
        if not (shares and self._needs_teacher):
            return None
        if self.plan.scenario.synthesis is not None and self._pool is None:
            return None  # each trial makes its images itself: there are none yet that the teacher could be asked about
        name = self.part.outputs_name(self.plan)
        return TeacherPass(
            self.plan,
            outputs_folder(study.cache) / name,
            self.ledger,
            study.computing.setdefault(name, {}),
            steps=self.part.steps,
            told=lambda cost: self._progress.teacher_asked(self.plan, cost),
        )

    # What workers are to do.

    def next_test(self) -> Job | None:
        """The next test of ended trials; None if none is waited for now.

        Where trials are trained side by side, many end at once: their tests are shared out among the workers.
        """
        if self._untested:
            return self._hand_out("test", {"tests": [self._untested.popleft()]})
        if not self._tests:
            return None
        count = math.ceil(len(self._tests) / self.part.study.room()) if self._most > 1 else 1
        return self._hand_out("test", {"tests": [self._tests.popleft() for _ in range(count)]})

    def next_job(self, tune_id: str) -> Job | None:
        """The synthesis of images, the next part of the teacher's outputs, or trial; None for none now, or no more."""
        if self._pool is not None and not self.trials.over:
            if self._pool.hand_out():
                self._progress.stage("synthesising images out of the teacher, once for all trials")
                return self._hand_out("synthesis", {})
            if not self._images_are_there(self._pool):
                return None
        if self._pass is not None:
            if epochs := self._pass.next_part():
                return self._hand_out("teacher outputs", {"epochs": epochs})
            if not self._pass.first_is_there:
                return None
        if trial := self.trials.next(tune_id, self._most, self.part.study.room()):
            return self._hand_out("trial", {**trial, "awaited": self._pass.awaited if self._pass else []})
        return None

    def _images_are_there(self, pool: SharedPool) -> bool:
        """May a trial begin? Where there will be no images, the run has failed. What the pool cost is recorded once."""
        known = pool.is_there or pool.failure is not None
        if known and not self._pool_recorded:
            self._row.pool(self._store, pool.columns)
            self._pool_recorded = True
        if pool.failure is not None:
            self.trials.fail(pool.failure)
            if self._pass:
                self._pass.stop()
        return pool.is_there

    def _hand_out(self, job: str, config: dict[str, Any]) -> Job:
        self._at_work += 1
        return {"job": job, "shared": self.shared, **config}

    def _ask_for_test(self, trial_id: str, attempt: int) -> None:
        self._tests.append({"trial_id": trial_id, "attempt": attempt})

    # What comes of it.

    def started(self, tune_id: str, job: Job) -> None:
        """A worker begins a job, or begins it again."""
        if job["job"] == "trial":
            self.trials.started(tune_id)
        elif self._pass is not None and job["job"] == "teacher outputs":
            self._pass.started(job["epochs"])

    def again(self, job: Job) -> None:
        """The worker of a job that is no trial has died; the job will be begun again."""
        if self._pass is not None and job["job"] == "teacher outputs":
            self._pass.again(job["epochs"])

    def tested(self, job: Job, columns: Sequence[Mapping[str, Any]]) -> None:
        """Tests have ended well; the columns of each, in the order of the job."""
        for test, found in zip(job["tests"], columns, strict=True):
            self._recorder.tested(test["trial_id"], test["attempt"], found)

    def synthesised(self, outcome: Mapping[str, Any]) -> None:
        """The job that synthesises images has given its outcome."""
        assert self._pool is not None
        self._pool.made(outcome)

    def ended(self, tune_id: str, job: Job, error: str | None, *, well: bool) -> None:
        """A job is over for good. ``well``: did it give what it was to give?"""
        self._at_work -= 1
        if job["job"] == "trial":
            self.trials.ended(tune_id, error)
        elif job["job"] == "synthesis":
            assert self._pool is not None
            self._pool.ended(error)
        elif job["job"] == "test" and not well:
            self._not_tested(job["tests"], error or "its worker was stopped")
        elif job["job"] == "teacher outputs" and not well:
            self._progress.note(f"a part of the teacher's outputs is not shared, trials ask it themselves: {error}")

    def _not_tested(self, tests: Sequence[Test], error: str) -> None:
        """A job of tests has failed; where there were several, the checkpoint of one may have been the reason."""
        if len(tests) == 1:
            self._recorder.not_tested(tests[0]["trial_id"], tests[0]["attempt"], error)
        else:
            self._untested += tests

    def outputs_there(self, epochs: list[int], *, well: bool) -> None:
        """A job that computed outputs of the run's replicate is over, be it this run's or another's."""
        if self._pass is None:
            return
        if well:
            self._pass.computed(epochs)
        else:
            self._pass.not_computed(epochs)
        if self._pass.complete:
            self._row.share(self._store, self._pass.total)

    # The end.

    @property
    def exhausted(self) -> bool:
        """Is no job left, and none at work?"""
        return self.trials.over and not self._tests and not self._untested and not self._at_work

    @property
    def complete(self) -> bool:
        """Is everything done and recorded, but for the end of the run itself? Call often: records are sealed by it."""
        done = self._recorder.complete
        return done and self.exhausted and (self._pass is None or self._pass.complete)

    def seal(self) -> None:
        """Close and seal the records of all trials, and write what the nodes' meters counted."""
        self.trials.abandon()
        self._recorder.close()
        if self._pass is not None:
            self._row.share(self._store, self._pass.total)
        self._nodes.write(self.part.study.cluster.end(self.plan.run_id))

    def close(self, *, interrupted: bool = False) -> None:
        """Seal the records, and record how the run ended: completed, failed, or stopped where it was interrupted."""
        self.seal()
        self._note_problems()
        status, error = ("stopped", "interrupted") if interrupted and not self.exhausted else self.trials.verdict()
        self._row.end(self._store, self.ledger, status, error, self._nodes.metered_j)
        if status == "completed" and len(self.ledger.trials) > 1:
            incumbent = self._store.incumbent(self.plan.run_id)
            checkpoints.remove_others(self.part.study.cache.kept, self.plan.run_id, incumbent)
        if status != "stopped":
            if self.plan.scenario.synthesis is not None and self._pool is None:
                self.part.study.cache.kept.remove_folder(trial_pools(self.plan.run_id))
            self._uses.give_up(self.part.outputs_name(self.plan), self.plan.run_id)
        self.status = status
        self._progress.run_ended(self.plan, status)
        self._held.close()

    def leave(self) -> None:
        """Give up the lease of a run that was not closed: its row still says that it is running.

        The lease's file stays, for the next command looks at this run because of it.
        """
        with suppress(_Left), self._held:
            raise _Left

    def _note_problems(self) -> None:
        trials = self.trials
        unmeasured = [f"the energy of some epochs was not measured: {reason}" for reason in trials.unmeasured]
        gone = self._pass.removed() if self._pass else []
        if gone:
            folder = outputs_folder(self.part.study.cache) / self.part.outputs_name(self.plan)
            unmeasured.append(
                f"the teacher's outputs of {len(gone)} epochs were removed from {folder} while trials shared them: "
                f"trials asked the teacher themselves from then on, and are charged for it"
            )
        for problem in [*self._recorder.problems, *trials.tracebacks, *unmeasured]:
            self._progress.note(problem)

    def _told(self, event: Event) -> None:
        """What the recorder adds to the events of a trial."""
        self.ledger(event)
        self._progress.event(event)

    def _lost_nodes(self, event: Event) -> None:
        """Write the run's nodes as soon as one is lost: the driver may not live to do it at the end."""
        cluster = self.part.study.cluster
        if cluster.has_lost_one(self.plan.run_id):
            self._nodes.write(cluster.rows(self.plan.run_id))


def _ledger(plan: RunPlan, history: RunHistory) -> Ledger:
    """The run's ledger, charged with what it has spent already."""
    target = None if plan.target_accuracy is None else Target(accuracy=plan.target_accuracy)
    ledger = Ledger(budget=plan.budget, max_trials=plan.max_trials, target=target)
    for event in history.events:
        ledger(event)
    return ledger
