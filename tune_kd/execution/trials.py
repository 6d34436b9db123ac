"""The trials of one run: which come next within its budget, and the stream of events that they make.

A trial has two names: ours, by its index in the run, and that of whoever runs it, Tune as a rule. Each event is
published once to every listener (ledger, journal, progress), in this order, in the driver's main thread.
"""

from __future__ import annotations

from typing import Any, cast

from ray.tune.search import Searcher

from tune_kd import formats
from tune_kd.budget.ledger import Ledger
from tune_kd.config.seeds import trial_seed
from tune_kd.events import EpochReport, Event, Listener, TrialEnded, TrialStarted, from_json, utc_now
from tune_kd.history.run_history import KnownTrial, RunHistory, give_result
from tune_kd.meter.carbon import Carbon
from tune_kd.planning.plan import RunPlan
from tune_kd.tasks.catalogue import task_of


class RunTrials:
    """The trials of one run. ``listeners`` must charge the ``ledger``; an exception of theirs is raised to the caller.

    ``searcher`` is the policy's, and knows the run's ``history``, which it has replayed.
    """

    def __init__(
        self,
        plan: RunPlan,
        searcher: Searcher,
        ledger: Ledger,
        carbon: Carbon,
        listeners: list[Listener],
        history: RunHistory,
    ) -> None:
        self._plan, self._searcher, self._ledger = plan, searcher, ledger
        self._carbon, self._listeners = carbon, listeners
        self._trials: dict[str, KnownTrial] = {}  # by Tune's name
        self._unfinished = [trial for trial in history.trials if trial.unfinished]
        self._count = len(history.trials)
        self._first_error: str | None = None
        self._ended_well = any(trial.status in ("completed", "stopped") for trial in history.trials)
        self._finished = False  # does the searcher suggest no more?
        self.tracebacks: list[str] = []  # of a user's policy, one for each different error
        self.unmeasured: list[str] = []  # why the energy of a report is null, each reason once

    def next(self, tune_id: str) -> dict[str, Any] | None:
        """The config of the next trial, from now on called ``tune_id``, too; None for none now, or none any more."""
        if self.over:
            return None
        if self._unfinished:  # an earlier driver left it so
            return self._assign(tune_id, self._unfinished.pop(0))
        trial_id = f"{self._plan.run_id}-{self._count:04d}"
        params = self._searcher.suggest(trial_id)
        if params is None or params == Searcher.FINISHED:
            self._finished = params == Searcher.FINISHED
            return None
        trial = KnownTrial(trial_id=trial_id, index=self._count, params=params)
        self._count += 1
        return self._assign(tune_id, trial)

    @property
    def over(self) -> bool:
        """Is there no other trial to come?"""
        if self._finished or self._ledger.exhausted:
            return True
        return not self._unfinished and not self._ledger.may_start()

    def _assign(self, tune_id: str, trial: KnownTrial) -> dict[str, Any]:
        self._trials[tune_id] = trial
        self._ledger.reserve(trial.trial_id)
        return {"trial_id": trial.trial_id, "index": trial.index, "params": trial.params, **self.next_attempt(tune_id)}

    def next_attempt(self, tune_id: str) -> dict[str, int]:
        """What a worker must know of the next attempt at a trial: its number, and the epochs that were reported."""
        trial = self._trials[tune_id]
        return {"attempt": trial.attempt + 1, "reported": trial.epoch}

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
                metric=task_of(self._plan.scenario).metric,
            )
        )

    def reported(self, tune_id: str, result: dict[str, Any]) -> bool:
        """Publish the report in a worker's result if it is new; must the trial stop, for its budget is spent?

        It stops once the rest of the budget is less than the mean cost of its epochs.
        """
        trial = self._trials[tune_id]
        if "report" not in result:
            return False
        if (reason := result.get("unmeasured")) and reason not in self.unmeasured:
            self.unmeasured.append(reason)
        report = cast(EpochReport, from_json(result["report"]))
        # If an attempt ends without a report, Tune repeats the last result of the attempt before it.
        if report.attempt == trial.attempt and report.epoch > trial.reported:
            trial.reported = trial.epoch = report.epoch
            trial.last[report.attempt] = report
            self._publish(report)
        return self._ledger.must_stop(report.trial_id, report.attempt)

    def ended(self, tune_id: str, error: str | None = None, *, again: bool = False) -> None:
        """An attempt is over: failed with an error, completed if it reported the last epoch, else stopped.

        Unless it is tried ``again``, the searcher gets the trial's result. The lines after the first of ``error`` are
        a traceback, which is for the user and not for the store.
        """
        trial = self._trials[tune_id]
        if not trial.open:  # its worker was never there
            trial.status = trial.status or "failed"
            if not again:
                give_result(self._searcher, trial)
            return
        error, _, details = (error or "").partition("\n")
        if details and details not in self.tracebacks:
            self.tracebacks.append(details)
        trial.open = False
        finished = trial.epoch >= self._plan.scenario.trial_epochs
        trial.status = "failed" if error else "completed" if finished else "stopped"
        self._ended_well |= trial.status != "failed"
        self._first_error = self._first_error or error
        if not again:
            give_result(self._searcher, trial)
        self._publish(self._end(trial, trial.status, error or None))

    def fail(self, reason: str) -> None:
        """Start no other trial: what all of them need is not to be had."""
        self._finished, self._first_error = True, self._first_error or reason

    def verdict(self) -> tuple[str, str | None]:
        """The status and error of a run that is over: failed if no trial ended well, else completed."""
        return ("completed", None) if self._ended_well else ("failed", self._first_error or self._why_none_started())

    def _why_none_started(self) -> str:
        budget, shared = self._ledger.budget, self._ledger.shared
        if not self._count and shared >= budget.limit:
            spent, limit = (formats.amount(amount, budget.currency) for amount in (shared, budget.limit))
            return f"no trial was started: the teacher's outputs that trials share took {spent} of a budget of {limit}"
        return "no trial was started"

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
        for listener in self._listeners:
            listener(event)
