"""The trials of one run: which come next within its budget, and the stream of events that they make.

A trial has two names: ours, by its index in the run, and that of whoever runs it, Tune as a rule. Each event is
published once to every listener (ledger, journal, progress), in this order, in the driver's main thread.
"""

from __future__ import annotations

import math
from itertools import chain
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
        self._trials: dict[str, list[KnownTrial]] = {}  # by Tune's name; several are trained side by side
        self._unfinished = [trial for trial in history.trials if trial.unfinished]
        self._apart: list[KnownTrial] = []  # that failed side by side, and are tried alone
        self._count = len(history.trials)
        self._first_error: str | None = None
        self._ended_well = any(trial.status in ("completed", "stopped") for trial in history.trials)
        self._finished = False  # does the searcher suggest no more?
        self.tracebacks: list[str] = []  # of a user's policy, one for each different error
        self.unmeasured: list[str] = []  # why the energy of a report is null, each reason once

    def next(self, tune_id: str, most: int = 1, workers: int = 1) -> dict[str, Any] | None:
        """The config of the next trials, from now on called ``tune_id``; None for none now, or none any more.

        They are trained side by side, ``most`` of them at the most, and no more than the rest of the budget pays for,
        shared out among so many ``workers``.
        """
        if self._apart and not self.over:
            return self._assign(tune_id, [self._apart.pop(0)])
        trials: list[KnownTrial] = []
        most_now = min(most, self._affordable(workers)) if most > 1 else most
        while len(trials) < most_now and not self.over and (trial := self._next()):
            self._ledger.reserve(trial.trial_id)
            trials.append(trial)
        return self._assign(tune_id, trials) if trials else None

    def _affordable(self, workers: int) -> float:
        """How many whole trials for each worker the rest of the budget pays for beside those under way; 1 at the least.

        In trials the ledger counts them as they come. In another currency it is told by the epochs so far; until there
        are any, one trial shows what they cost.
        """
        whole, known = self._plan.scenario.trial_epochs, chain.from_iterable(self._trials.values())
        under_way = sum(whole - trial.epoch for trial in known if trial.status is None)
        left = self._ledger.epochs_left - under_way
        return left if math.isinf(left) else max(1, math.ceil(left // whole / max(1, workers)))

    def _next(self) -> KnownTrial | None:
        """The next trial, one that an earlier driver left unfinished or a new one; None for none now, or any more."""
        if self._unfinished:
            return self._unfinished.pop(0)
        trial_id = f"{self._plan.run_id}-{self._count:04d}"
        params = self._searcher.suggest(trial_id)
        if params is None or params == Searcher.FINISHED:
            self._finished = params == Searcher.FINISHED
            return None
        trial = KnownTrial(trial_id=trial_id, index=self._count, params=params)
        self._count += 1
        return trial

    @property
    def over(self) -> bool:
        """Is there no other trial to come?"""
        if self._ledger.exhausted:
            return True
        if self._unfinished or self._apart:
            return False
        return self._finished or not self._ledger.may_start()

    def _assign(self, tune_id: str, trials: list[KnownTrial]) -> dict[str, Any]:
        self._trials[tune_id] = trials
        # A scheduler knows a trial by its index. A run that has one trains no trials side by side.
        return {"index": trials[0].index, **self.next_attempt(tune_id)}

    def next_attempt(self, tune_id: str) -> dict[str, Any]:
        """What a worker must know of the next attempts at the trials of a job.

        It is by trial the number of the attempt, the epochs that were reported, and what makes the trial.
        """
        return {
            "members": [
                {
                    "trial_id": trial.trial_id,
                    "index": trial.index,
                    "params": trial.params,
                    "attempt": trial.attempt + 1,
                    "reported": trial.epoch,
                }
                for trial in self._trials[tune_id]
            ]
        }

    def started(self, tune_id: str) -> None:
        """An attempt at each of a job's trials begins on a worker."""
        for trial in self._trials[tune_id]:
            self._start(trial, side_by_side=len(self._trials[tune_id]))

    def _start(self, trial: KnownTrial, side_by_side: int) -> None:
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
                side_by_side=side_by_side,
            )
        )

    def reported(self, tune_id: str, result: dict[str, Any]) -> bool:
        """Publish the reports in a worker's result that are new; must its trials stop, for their budget is spent?

        They stop once the rest of the budget is less than the mean cost of an epoch of one of them: all at once, for
        the budget is their run's.
        """
        if (reason := result.get("unmeasured")) and reason not in self.unmeasured:
            self.unmeasured.append(reason)
        trials = {trial.trial_id: trial for trial in self._trials[tune_id]}
        reports = [cast(EpochReport, from_json(line)) for line in result.get("reports", ())]
        new = []
        for report in reports:
            trial = trials[report.trial_id]
            # If an attempt ends without a report, Tune repeats the last result of the attempt before it.
            if report.attempt == trial.attempt and report.epoch > trial.reported:
                trial.reported = trial.epoch = report.epoch
                trial.last[report.attempt] = report
                new.append(report)
        self._publish(*new)
        return any(self._ledger.must_stop(report.trial_id, report.attempt) for report in reports)

    def ended(self, tune_id: str, error: str | None = None, *, again: bool = False) -> None:
        """The attempts of a job are over: failed with an error, completed if all is reported, else stopped.

        Unless they are tried ``again``, the searcher gets the trials' results. Trials that failed side by side are then
        tried alone: one of them may have been the reason. The lines after the first of ``error`` are a traceback, which
        is for the user and not for the store.
        """
        trials = self._trials[tune_id]
        if error and not again and len(trials) > 1:
            self._apart += self._trials.pop(tune_id)
            again = True
        for trial in trials:
            self._end_attempt(trial, error, again=again)

    def _end_attempt(self, trial: KnownTrial, error: str | None, *, again: bool) -> None:
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
        self._unfinished, self._apart = [], []
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
        for trial in chain.from_iterable(self._trials.values()):
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

    def _publish(self, *events: Event) -> None:
        """Tell each listener of events that came together, before the next one: all are on disk if that breaks off."""
        for listener in self._listeners:
            for event in events:
                listener(event)
