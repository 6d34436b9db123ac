"""Ray Tune without Ray: the order in which Tune calls searcher, scheduler, stopper and callbacks, trials side by side.

What the trials cost and reach is a function of the seed. The engine's own trials and ledger are driven; their account
is kept a second time, here, by other means.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from run_events import closed_account, report

from tune_kd.budget.ledger import Ledger
from tune_kd.budget.target_track import Target
from tune_kd.events import EpochReport, Event, TrialEnded, TrialStarted, to_json
from tune_kd.execution.trials import RunTrials
from tune_kd.history.run_history import RunHistory
from tune_kd.meter.carbon import Carbon
from tune_kd.planning.plan import RunPlan
from tune_kd.store import Store, create_store

CARBON = Carbon(intensity_g_per_kwh=500.0, source="chosen for the tests", pue=1.0)
MAX_FAILURES = 1


@dataclass(eq=False)
class SimulatedTrial:
    """A trial on its worker: what Tune's own has of it, and what its worker knows."""

    trial_id: str
    config: dict[str, Any]
    epoch: int = 0
    cost: float = 0.0  # of this attempt
    failures: int = 0


@dataclass(kw_only=True)
class Simulator:
    """One run of ``plan`` with ``workers`` trials at a time; ``crashes``: the chance that an epoch kills its worker."""

    plan: RunPlan
    workers: int = 1
    seed: int = 0
    crashes: float = 0.0
    history: RunHistory = field(default_factory=RunHistory)
    events: list[Event] = field(default_factory=list)
    at_limit: list[Event] = field(default_factory=list)  # reports that came after the budget was spent
    charged: float = 0.0  # the second account, in the budget's currency
    dearest: float = 0.0  # epoch
    retried_late: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        accuracy = self.plan.target_accuracy
        target = None if accuracy is None else Target(accuracy=accuracy)
        self.ledger = Ledger(budget=self.plan.budget, max_trials=self.plan.max_trials, target=target)
        for event in self.history.events:
            self.ledger(event)
        self.charged = self.ledger.spent
        searcher = self.plan.policy.searcher(self.plan.space, self.plan.seed)
        self.history = self.history.replay_searcher(searcher)
        self.scheduler = self.plan.policy.scheduler() or FIFOScheduler()
        self.history.replay_scheduler(self.scheduler)
        listeners = [self.ledger, self.events.append]
        self.trials = RunTrials(self.plan, searcher, self.ledger, CARBON, listeners, self.history)
        self.running: list[SimulatedTrial] = []
        self._named = 0

    @property
    def over(self) -> bool:
        return self.plan.budget.currency != "trials" and self.charged >= self.plan.budget.limit

    def run(self, most: float = float("inf")) -> None:
        """To the end, or until ``most`` epochs and crashes have happened."""
        while most > 0 and self._fill():
            self._advance(self.random.choice(self.running))
            most -= 1
        if self.running:
            self.trials.abandon()  # as a run does when it is interrupted

    def _fill(self) -> bool:
        while len(self.running) < self.workers:
            tune_id, before = f"tune-{self._named}", len(self.ledger.trials)
            config = self.trials.next(tune_id)
            if config is None:
                break
            assert not self.over, "a trial was started after the budget was spent"
            if self.plan.budget.currency == "trials":
                self.charged += len(self.ledger.trials) - before
            self._start(tune_id, config)
        return bool(self.running)

    def _start(self, tune_id: str, config: dict[str, Any]) -> None:
        self._named += 1
        trial = SimulatedTrial(tune_id, config, epoch=config["members"][0]["reported"])
        self.running.append(trial)
        self.scheduler.on_trial_add(None, trial)
        self.trials.started(tune_id)

    def _advance(self, trial: SimulatedTrial) -> None:
        cost = self.random.randint(1, 20)
        self.dearest = max(self.dearest, 1 if self.plan.budget.currency == "epochs" else cost)
        if self.random.random() < self.crashes:
            self._crash(trial, self.random.randint(0, cost))
            return
        trial.epoch, trial.cost = trial.epoch + 1, trial.cost + cost
        told = self._report(trial)
        if self.over:
            self.at_limit.append(told)
        self.charged += {"trials": 0, "epochs": 1}.get(self.plan.budget.currency, cost)
        result = {"reports": [to_json(told)], "val_score": told.val_score, "epoch": told.epoch}
        stop = self.trials.reported(trial.trial_id, result)
        if not stop:
            stop = self.scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP
        if stop or trial.epoch == self.plan.scenario.trial_epochs:
            repeated = {**result, "done": True}  # Tune gives a trial's last result twice
            self.trials.reported(trial.trial_id, repeated)
            self.running.remove(trial)
            self.scheduler.on_trial_complete(None, trial, repeated)
            self.trials.ended(trial.trial_id)

    def _report(self, trial: SimulatedTrial) -> EpochReport:
        known = trial.config["members"][0]
        accuracy = random.Random(f"{known['index']} {trial.epoch}").random()
        told = report(known["trial_id"], known["attempt"], trial.epoch, trial.cost)
        return replace(told, run_id=self.plan.run_id, val_score=accuracy)

    def _crash(self, trial: SimulatedTrial, lost: float) -> None:
        """The worker dies within an epoch; its node's meter closes the account with what that had cost by then."""
        key = tuple(trial.config["members"][0][name] for name in ("trial_id", "attempt"))
        trial.failures += 1
        again = trial.failures <= MAX_FAILURES
        self.trials.ended(trial.trial_id, "its worker died", again=again)
        if again:
            trial.config.update(self.trials.next_attempt(trial.trial_id))
        else:
            self.running.remove(trial)
            self.scheduler.on_trial_error(None, trial)
        account = replace(closed_account(*key, trial.cost + lost), run_id=self.plan.run_id)
        self.events.append(account)
        self.ledger(account)
        if self.plan.budget.currency in ("joules", "gco2e"):
            self.charged += lost
        trial.cost = 0.0
        if again:
            self.retried_late += self.over
            self.trials.started(trial.trial_id)

    def of(self, kind: type) -> list[Any]:
        """The run's events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def end_of(self, trial_id: str) -> TrialEnded:
        """How the last attempt at a trial ended."""
        return [event for event in self.of(TrialEnded) if event.trial_id == trial_id][-1]

    @property
    def statuses(self) -> dict[str, str]:
        """How the last attempt at each trial ended."""
        return {event.trial_id: event.status for event in self.of(TrialEnded)}

    @property
    def started(self) -> set[str]:
        return {event.trial_id for event in self.of(TrialStarted)}


def kept(run: Simulator, folder: Path) -> Store:
    """The store in ``folder``, new or with an earlier part of the run, and this run's events sealed in it."""
    store = create_store(folder)
    attempts = dict.fromkeys((event.trial_id, event.attempt) for event in run.events)
    for key in attempts:
        journal = store.journal(run.plan.run_id, *key)
        for event in run.events:
            if (event.trial_id, event.attempt) == key:
                journal.append(event)
        store.seal(run.plan.run_id, *key)
    return store
