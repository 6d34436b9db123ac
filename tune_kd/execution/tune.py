"""Ray Tune around a pool: a searcher, a scheduler, a stopper and a callback that put Tune's calls through to it.

One Tuner serves all runs of a study, so that its workers outlive them. Each job is a trial of Tune's. Tune tells the
stopper every result, and the last one of a job twice, all in the driver's main thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tune_kd.config import policy_file
from tune_kd.execution.pool import Pool


class _NotSaved:
    """Empty when pickled: Tune pickles searcher and callbacks for its snapshots, but a run resumes from the store."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class PoolSearcher(_NotSaved, Searcher):
    """Asks the pool for jobs; the searchers of the runs are asked by the runs."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(metric="val_score", mode="max")
        self._pool = pool

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        self._pool.step()  # Tune's loop stands still while it asks again and again
        job = self._pool.next_job(trial_id)
        return Searcher.FINISHED if job is None and self._pool.over else job

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: a run's searcher gets the result from the run."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: see ``_NotSaved``."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see ``_NotSaved``."""


class PoolStopper(_NotSaved, Stopper):
    """Ends a trial once its run's budget is spent, and all of them at once after an interruption or a failure."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return bool(self._pool.reported(trial_id, result))

    def stop_all(self) -> bool:
        return self._pool.stopped


class PoolScheduler(_NotSaved, TrialScheduler):
    """Asks the scheduler of the run that a trial belongs to. A run without one lets all its trials go on."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self._pool = pool
        self._trials: dict[str, dict[str, TuneTrial]] = {}  # Tune's own, by run id, of runs with a scheduler

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:
        if (run := self._pool.run_of(trial.trial_id)) and run.scheduler:
            # By its name, for Tune adds a trial again that is tried again.
            self._trials.setdefault(run.plan.run_id, {})[trial.trial_id] = trial
            run.scheduler.on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        scheduler = self._of(trial)
        return scheduler.on_trial_result(tune_controller, trial, result) if scheduler else self.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> None:
        if scheduler := self._of(trial):
            scheduler.on_trial_complete(tune_controller, trial, result)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        if scheduler := self._of(trial):
            scheduler.on_trial_error(tune_controller, trial)

    def on_trial_remove(self, tune_controller: Any, trial: TuneTrial) -> None:
        if scheduler := self._of(trial):
            scheduler.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """A trial that the scheduler of a run would have go on. Tune starts the others in the order of their jobs."""
        for run in self._pool.open:
            trials = list(self._trials.get(run.plan.run_id, {}).values())
            if run.scheduler and (chosen := run.scheduler.choose_trial_to_run(_Only(tune_controller, trials))):
                return chosen
        return None

    def debug_string(self) -> str:
        return "the scheduler of each run"

    def _of(self, trial: TuneTrial) -> TrialScheduler | None:
        run = self._pool.run_of(trial.trial_id)
        return run.scheduler if run else None


class _Only:
    """Tune's controller as the scheduler of one run sees it: with that run's trials."""

    def __init__(self, controller: Any, trials: list[TuneTrial]) -> None:
        self._controller, self._trials = controller, trials

    def get_trials(self) -> list[TuneTrial]:
        return self._trials

    def get_live_trials(self) -> set[TuneTrial]:
        return {trial for trial in self._trials if not trial.is_finished()}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)


class PoolListener(_NotSaved, Callback):
    """Passes Tune's callbacks to the pool, but for results, which the stopper is told.

    ``each_step`` is called in each turn of Tune's loop and must not wait.
    """

    def __init__(self, pool: Pool, each_step: Callable[[], object] = lambda: None) -> None:
        self._pool, self._each_step = pool, each_step

    def on_step_begin(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        self._each_step()
        self._pool.step()

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        self._pool.started(trial.trial_id)

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        self._pool.ended(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        self._pool.ended(trial.trial_id, _reason(trial))

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        # Tune starts the next attempt with the same config; its worker needs what is new.
        trial.config.update(self._pool.again(trial.trial_id, _reason(trial)) or {})


def _reason(trial: TuneTrial) -> str:
    """Why the last attempt failed: one line with the exception, or with Ray's message about a worker that died.

    An exception in a user's policy has its traceback below that line.
    """
    if trial.error_file is None:
        return "unknown error"
    failure = Path(trial.error_file).read_text(encoding="utf-8", errors="replace").split("Failure # ")[-1]
    if explained := policy_file.told_by_worker(failure):
        return explained
    lines = [line.strip() for line in failure.splitlines()[1:] if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt|Exit|Failed)\b", line)]
    return (raised[-1:] or lines[:1] or ["unknown error"])[0]
