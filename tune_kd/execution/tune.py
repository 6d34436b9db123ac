"""Ray Tune as a source of the run's events: a searcher, a stopper and a callback around one stream.

Each event is published once to every listener (ledger, journal, progress), in this order, in the driver's
main thread. Tune calls the stopper before callbacks, and again for a result that it repeats.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher

from tune_kd.budget.ledger import Ledger
from tune_kd.config import policy_file
from tune_kd.config.seeds import trial_seed
from tune_kd.events import EpochReport, Event, Listener, TrialEnded, TrialStarted, from_json, utc_now
from tune_kd.history.run_history import KnownTrial, RunHistory, give_result
from tune_kd.meter.carbon import Carbon
from tune_kd.planning.plan import RunPlan


class TuneEvents:
    """The events of one run; knows each trial by Tune's name and by ours."""

    def __init__(self, plan: RunPlan, carbon: Carbon, listeners: list[Listener], history: RunHistory) -> None:
        self._plan, self._carbon, self._listeners = plan, carbon, listeners
        self._trials: dict[str, KnownTrial] = {}  # by Tune's name
        self._unfinished = [trial for trial in history.trials if trial.unfinished]
        self._count = len(history.trials)
        self._first_error: str | None = None
        self.tracebacks: list[str] = []  # of a user's policy, one for each different error
        self.unmeasured: list[str] = []  # why the energy of a report is null, each reason once
        self._ended_well = any(trial.status in ("completed", "stopped") for trial in history.trials)
        self.failure: Exception | None = None
        self.interrupted = False

    @property
    def has_unfinished(self) -> bool:
        """Is there a trial that an earlier driver left unfinished?"""
        return bool(self._unfinished)

    def next_unfinished(self, tune_id: str) -> dict[str, Any] | None:
        """The config of the next trial that an earlier driver left unfinished; None after the last."""
        return self._assign(tune_id, self._unfinished.pop(0)) if self._unfinished else None

    def next_id(self) -> str:
        """Our name of the next new trial."""
        return f"{self._plan.run_id}-{self._count:04d}"

    def begin(self, tune_id: str, params: dict[str, float]) -> dict[str, Any]:
        """Make a new trial; the config for its worker."""
        trial = KnownTrial(trial_id=self.next_id(), index=self._count, params=params)
        self._count += 1
        return self._assign(tune_id, trial)

    def known(self, tune_id: str) -> KnownTrial | None:
        """The trial that Tune calls ``tune_id``."""
        return self._trials.get(tune_id)

    def _assign(self, tune_id: str, trial: KnownTrial) -> dict[str, Any]:
        self._trials[tune_id] = trial
        return {
            "trial_id": trial.trial_id,
            "index": trial.index,
            "params": trial.params,
            "attempt": trial.attempt + 1,
            "reported": trial.epoch,
        }

    def started(self, tune_id: str) -> None:
        """An attempt begins on a worker."""
        trial = self._trials[tune_id]
        trial.attempt, trial.reported, trial.open, trial.status = trial.attempt + 1, 0, True, None
        self._publish(
            TrialStarted(
                run_id=self._plan.run_id,
                trial_id=trial.trial_id,
                attempt=trial.attempt,
                at=utc_now(),
                index=trial.index,
                seed=trial_seed(self._plan.seed, trial.index),
                params=trial.params,
                tau=trial.params.get("tau"),
                alpha=trial.params.get("alpha", self._plan.scenario.distillation_weight),
                pue=self._carbon.pue,
                carbon_g_per_kwh=self._carbon.intensity_g_per_kwh,
                carbon_source=self._carbon.source,
                carbon_region=self._carbon.region,
                carbon_year=self._carbon.year,
            )
        )

    def reported(self, tune_id: str, result: dict[str, Any]) -> EpochReport | None:
        """The report in a result of Tune's, published if it is new; None for a result without one."""
        trial = self._trials[tune_id]
        if "report" not in result:
            return None
        if (reason := result.get("unmeasured")) and reason not in self.unmeasured:
            self.unmeasured.append(reason)
        report = cast(EpochReport, from_json(result["report"]))
        # If an attempt ends without a report, Tune repeats the last result of the attempt before it.
        if report.attempt == trial.attempt and report.epoch > trial.reported:
            trial.reported = trial.epoch = report.epoch
            trial.last[report.attempt] = report
            self._publish(report)
        return report

    def ended(self, tune_id: str, error: str | None = None) -> None:
        """An attempt is over: failed with an error, completed if it reported the last epoch, else stopped.

        The lines after the first of ``error`` are a traceback, which is for the user and not for the store.
        """
        trial = self._trials[tune_id]
        if not trial.open:
            return
        error, _, details = (error or "").partition("\n")
        if details and details not in self.tracebacks:
            self.tracebacks.append(details)
        trial.open = False
        finished = trial.epoch >= self._plan.scenario.recipe.epochs
        trial.status = "failed" if error else "completed" if finished else "stopped"
        self._ended_well |= trial.status != "failed"
        self._first_error = self._first_error or error
        self._publish(self._end(trial, trial.status, error or None))

    def verdict(self) -> tuple[str, str | None]:
        """The run's status and error: stopped if the user stopped it, failed if no trial ended well, else completed."""
        if self.interrupted:
            return "stopped", "interrupted"
        return ("completed", None) if self._ended_well else ("failed", self._first_error or "no trial was started")

    def abandon(self) -> None:
        """Close the attempts that an interruption left open: they are lost, and resumed from their checkpoints."""
        for trial in self._trials.values():
            if trial.open:
                trial.open = False
                self._publish(self._end(trial, "lost", "interrupted"))

    def _end(self, trial: KnownTrial, status: str, error: str | None) -> TrialEnded:
        before = trial.chosen_before if status == "completed" else {}
        return TrialEnded(
            run_id=self._plan.run_id,
            trial_id=trial.trial_id,
            attempt=trial.attempt,
            at=utc_now(),
            status=status,
            error=error,
            **before,
        )

    def _publish(self, event: Event) -> None:
        # If it were raised here, Tune would mark a good trial as failed. It is kept, and the run stops.
        try:
            for listener in self._listeners:
                listener(event)
        except Exception as failure:
            self.failure = self.failure or failure


class _NotSaved:
    """Empty when pickled: Tune pickles searcher and callbacks for its snapshots, but a run resumes from the store."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class BudgetedSearcher(_NotSaved, Searcher):
    """A policy's searcher within a budget: a new trial needs budget left, and ``room`` for one more at a time."""

    def __init__(
        self, searcher: Searcher, ledger: Ledger, source: TuneEvents, room: Callable[[], float] = lambda: math.inf
    ) -> None:
        super().__init__(metric="val_score", mode="max")
        self._searcher, self._ledger, self._source, self._room = searcher, ledger, source, room
        self._live: set[str] = set()  # suggested and not ended, by Tune's name

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self._source.failure or self._source.interrupted:
            return Searcher.FINISHED
        if self._ledger.exhausted:
            return Searcher.FINISHED
        if not self._source.has_unfinished and not self._ledger.may_start():
            return Searcher.FINISHED
        if len(self._live) >= self._room():
            return None  # ask again
        if unfinished := self._source.next_unfinished(trial_id):
            self._live.add(trial_id)
            return unfinished
        params = self._searcher.suggest(self._source.next_id())
        if params is None or params == Searcher.FINISHED:
            return params
        config = self._source.begin(trial_id, params)
        self._ledger.reserve(config["trial_id"])
        self._live.add(trial_id)
        return config

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._live.discard(trial_id)
        if trial := self._source.known(trial_id):
            if error:  # Tune calls its searcher before its callbacks
                trial.status = "failed"
            give_result(self._searcher, trial)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: see ``_NotSaved``."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see ``_NotSaved``."""


class BudgetStopper(_NotSaved, Stopper):
    """Ends a trial gracefully once the rest of the budget is less than the mean cost of its epochs."""

    def __init__(self, ledger: Ledger, source: TuneEvents) -> None:
        self._ledger, self._source = ledger, source

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        report = self._source.reported(trial_id, result)
        return report is not None and self._ledger.must_stop(report.trial_id, report.attempt)

    def stop_all(self) -> bool:
        """Ends all trials at once: after an interruption, or when a listener failed, as with a store that is full."""
        return self._source.interrupted or self._source.failure is not None


class TuneListener(_NotSaved, Callback):
    """Passes Tune's callbacks to the stream. ``each_step`` is called in each turn of Tune's loop and must not wait."""

    def __init__(self, source: TuneEvents, each_step: Callable[[], object] = lambda: None) -> None:
        self._source, self._each_step = source, each_step

    def on_step_begin(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        self._each_step()

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        self._source.started(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        self._source.reported(trial.trial_id, result)

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        self._source.ended(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        self._source.ended(trial.trial_id, error=_reason(trial))

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        self._source.ended(trial.trial_id, error=_reason(trial))
        # Tune starts the next attempt with the same config; its worker needs the number of the attempt.
        known = self._source.known(trial.trial_id)
        if known is not None:
            trial.config.update(attempt=known.attempt + 1, reported=known.epoch)


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
