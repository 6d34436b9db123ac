"""The pool of a study: all its runs share the workers, and a job of any run starts as soon as there is room.

Earlier runs come first, so that results come in order and an interruption leaves few runs half done. Runs begin
when they are asked for their first job, and are closed as soon as all is recorded. No Ray in it: ``tune.py`` puts
Tune's calls through to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from tune_kd.errors import RunFailed
from tune_kd.execution.run import Job, Run

Result = TypeVar("Result")


def _kept(method: Callable[..., Result]) -> Callable[..., Result | None]:
    """An exception of the method becomes the pool's ``failure``: raised into Tune, it would be a trial's failure.

    A KeyboardInterrupt interrupts the pool: raised through Tune's loop, it would leave Tune's workers with their CPUs.
    A second one breaks off.
    """

    @wraps(method)
    def wrapped(pool: Pool, *arguments: Any, **options: Any) -> Result | None:
        try:
            return method(pool, *arguments, **options)
        except KeyboardInterrupt:
            if pool.interrupted:
                raise
            pool.interrupted = True
            return None
        except Exception as failure:
            pool.failure = pool.failure or failure
            return None

    return wrapped


@contextmanager
def _left_if_it_fails(run: Run) -> Iterator[None]:
    """Give up the run's lease if what is done with it fails, so that another command can go on with it."""
    try:
        yield
    except BaseException:
        run.leave()
        raise


class Pool:
    """The runs of a study in their order. ``room`` says how many jobs may be on workers at a time.

    Once there is a ``failure``, or the user has ``interrupted`` it, no other job is handed out.
    """

    def __init__(self, runs: Sequence[Run], room: Callable[[], float]) -> None:
        self._planned, self._open, self._room = list(runs), list[Run](), room
        self._at_work: dict[str, tuple[Run, Job]] = {}  # by Tune's name
        self._done: set[str] = set()  # jobs at work that have given what they were to give
        self.failure: Exception | None = None
        self.teacher_failures: dict[str, RunFailed] = {}  # by the id of the teacher
        self.interrupted = False

    @property
    def stopped(self) -> bool:
        """Was it interrupted, or did something go wrong?"""
        return self.interrupted or self.failure is not None

    @property
    def over(self) -> bool:
        """Will there be no other job?"""
        if self.stopped:
            return True
        return not self._planned and not self._at_work and all(run.exhausted for run in self._open)

    @property
    def ready(self) -> bool:
        """Is there a run that may begin, or has begun?"""
        return bool(self._open) or any(run.ready for run in self._planned)

    def run_of(self, tune_id: str) -> Run | None:
        """The run that is training a trial which Tune calls ``tune_id``; None for another job."""
        run, job = self._at_work.get(tune_id, (None, None))
        return run if job and job["job"] == "trial" else None

    @property
    def open(self) -> Sequence[Run]:
        """The runs that are under way, in their order."""
        return self._open

    @_kept
    def next_job(self, tune_id: str) -> Job | None:
        """What the next worker is to do, from now on called ``tune_id``; None if there is nothing now, or no room."""
        if self.stopped or len(self._at_work) >= self._room():
            return None
        for run in self._open:
            if job := run.next_test():
                return self._hand_out(tune_id, run, job)
        for run in self._in_order():
            if job := run.next_job(tune_id):
                return self._hand_out(tune_id, run, job)
        return None

    def _in_order(self) -> Iterator[Run]:
        """The open runs, then one planned run after the other, begun as it is come to."""
        yield from list(self._open)
        for run in [run for run in self._planned if run.ready]:
            self._planned.remove(run)
            try:
                run.teacher()
            except RunFailed as failure:  # runs with another teacher go on
                self.teacher_failures[run.part.teacher_id] = failure
                continue
            with _left_if_it_fails(run):
                run.begin()
            self._open.append(run)
            yield run

    def _hand_out(self, tune_id: str, run: Run, job: Job) -> Job:
        self._at_work[tune_id] = (run, job)
        return job

    @_kept
    def started(self, tune_id: str) -> None:
        """A job begins on a worker."""
        run, job = self._at_work[tune_id]
        run.started(tune_id, job)

    @_kept
    def reported(self, tune_id: str, result: dict[str, Any]) -> bool:
        """A worker has a result; must its trial stop, for the run's budget is spent? Tune may repeat a result."""
        run, job = self._at_work[tune_id]
        if job["job"] == "trial":
            return run.trials.reported(tune_id, result)
        if tune_id not in self._done and "outcome" in result:
            self._done.add(tune_id)
            if job["job"] == "test":
                run.tested(job, result["outcome"])
            elif job["job"] == "synthesis":
                run.synthesised(result["outcome"])
            else:
                self._computed(run, job, well=True)
        return False

    @_kept
    def again(self, tune_id: str, error: str) -> dict[str, int] | None:
        """A worker has died or its job has failed, and the job is tried again; what is new in the job's config."""
        run, job = self._at_work[tune_id]
        if job["job"] != "trial":
            run.again(job)
            return {}
        run.trials.ended(tune_id, error, again=True)
        return run.trials.next_attempt(tune_id)

    @_kept
    def ended(self, tune_id: str, error: str | None = None) -> None:
        """A job is over for good."""
        run, job = self._at_work.pop(tune_id)
        well = tune_id in self._done
        self._done.discard(tune_id)
        run.ended(tune_id, job, error, well=well)
        if job["job"] == "teacher outputs" and not well:
            self._computed(run, job, well=False)

    def _computed(self, run: Run, job: Job, *, well: bool) -> None:
        """A part of a replicate's outputs is there, or will not come: tell all runs that share them."""
        name = run.part.outputs_name(run.plan)
        for epoch in job["epochs"]:
            run.part.study.computing[name].pop(epoch, None)
        for other in self._open:
            if other.part.outputs_name(other.plan) == name:
                other.outputs_there(job["epochs"], well=well)

    @_kept
    def step(self) -> None:
        """Close the runs of which all is recorded. Never waits for a job; call often."""
        if self.stopped:
            return
        for run in [run for run in self._open if run.complete]:
            self._open.remove(run)
            with _left_if_it_fails(run):
                run.close()

    def close(self) -> None:
        """No worker is at work any more: close the runs that are under way. Raises the ``failure``, if there is one."""
        for run in self._open:
            try:
                if self.failure is None:
                    run.close(interrupted=self.interrupted)
                else:
                    run.seal()
            except Exception as failure:
                self.failure = self.failure or failure
            finally:
                run.leave()
        self._open.clear()
        if self.failure is not None:
            raise self.failure
