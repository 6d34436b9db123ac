"""What is known of a run while it goes, from the one stream of its events: the numbers behind the displays."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tune_kd.events import EpochReport, Event, TrialEnded, TrialMetered, TrialStarted
from tune_kd.formats import UNNAMED

if TYPE_CHECKING:
    from tune_kd.budget.ledger import Ledger
    from tune_kd.planning.plan import RunPlan


@dataclass(kw_only=True)
class AttemptView:
    """What is known of one attempt at a trial."""

    started: TrialStarted
    last: EpochReport | None = None
    tau_low: float | None = None
    tau_high: float | None = None
    ended: TrialEnded | None = None
    metered: TrialMetered | None = None  # its closed account, which has what it used after its last report

    def report(self, report: EpochReport) -> None:
        """Take in an epoch."""
        self.last = report
        for tau in (report.tau_min, report.tau_max):
            if tau is not None and math.isfinite(tau):
                self.tau_low = tau if self.tau_low is None else min(self.tau_low, tau)
                self.tau_high = tau if self.tau_high is None else max(self.tau_high, tau)

    @property
    def score(self) -> float | None:
        """Validation score of the checkpoint that is chosen so far."""
        if self.last is not None:
            return self.last.chosen_score
        return None if self.ended is None else self.ended.val_score

    @property
    def diverged_epoch(self) -> int | None:
        """The first epoch whose loss, outputs or weights were not finite."""
        said = self.ended if self.last is None else self.last
        return None if said is None else said.diverged_epoch

    @property
    def epochs(self) -> int:
        return 0 if self.last is None else self.last.epoch

    @property
    def node_id(self) -> str | None:
        """The node that it runs on; None before the first report."""
        return None if self.last is None else self.last.node_id

    @property
    def energy_j(self) -> float | None:
        closed = None if self.metered is None else self.metered.energy_j
        return self.last.energy_j if closed is None and self.last is not None else closed

    @property
    def has_spent(self) -> bool:
        """Has it reported an epoch, or closed an account with something on it?"""
        return self.last is not None or self.energy_j is not None

    @property
    def duration_s(self) -> float | None:
        return None if self.last is None else self.last.duration_s


@dataclass(kw_only=True)
class RunView:
    """What is known of one run, from its events. ``earlier`` are the attempts of before it was resumed."""

    plan: RunPlan
    ledger: Ledger
    started_s: float
    before: frozenset[str] = frozenset()  # the trials that were started before the resumption
    fraction_before: float = 0.0
    attempts: dict[tuple[str, int], AttemptView] = field(default_factory=dict)
    earlier: dict[tuple[str, int], AttemptView] = field(default_factory=dict)
    shared_j: float | None = 0.0  # of the teacher's outputs that the trials share
    status: str | None = None  # None while it runs
    duration_s: float | None = None

    @classmethod
    def begin(cls, plan: RunPlan, ledger: Ledger, now_s: float) -> RunView:
        """The view of a run that starts, or goes on, now."""
        run = cls(plan=plan, ledger=ledger, started_s=now_s, before=frozenset(ledger.trials))
        run.fraction_before = run.fraction
        return run

    def event(self, event: Event) -> AttemptView | None:
        """Take in an event; the attempt that it changed."""
        return _take_in(self.attempts, event)

    def known(self, events: Iterable[Event]) -> None:
        """Take in what earlier drivers have recorded."""
        for event in events:
            _take_in(self.earlier, event)

    def teacher_asked(self, energy_j: float | None) -> None:
        """Take in what the run is charged for outputs that its trials share."""
        self.shared_j = None if self.shared_j is None or energy_j is None else self.shared_j + energy_j

    @property
    def name(self) -> str:
        return f"{self.plan.label} r{self.plan.replicate}"

    @property
    def trials(self) -> list[AttemptView]:
        """The latest attempt at each trial."""
        return list({trial_id: attempt for (trial_id, _), attempt in self.attempts.items()}.values())

    @property
    def all_trials(self) -> list[AttemptView]:
        """The latest attempt at each trial, also of those that ended before it was resumed."""
        both = {**self.earlier, **self.attempts}
        return list({trial_id: attempt for (trial_id, _), attempt in both.items()}.values())

    @property
    def trials_done(self) -> int:
        return self._trials_elsewhere + sum(trial.ended is not None for trial in self.trials)

    @property
    def diverged(self) -> int:
        """How many trials are known to have diverged."""
        return sum(trial.diverged_epoch is not None for trial in self.all_trials)

    @property
    def _trials_elsewhere(self) -> int:
        """Trials started before the resume that have not restarted."""
        return len(self.before - {trial_id for trial_id, _ in self.attempts})

    @property
    def metric(self) -> str:
        """What its scores measure, which the first attempt says."""
        return next((attempt.started.metric for attempt in self.attempts.values()), UNNAMED)

    @property
    def best(self) -> float | None:
        """The best validation score so far, of the checkpoints that would be handed in."""
        return max((trial.score for trial in self.all_trials if trial.score is not None), default=None)

    @property
    def has_spent(self) -> bool:
        """Has some trial of it said anything?"""
        return any(attempt.has_spent for attempt in (*self.earlier.values(), *self.attempts.values()))

    @property
    def energy_j(self) -> float | None:
        """What the run spent; None if a part of it was not measured, as a partial sum would pass for a saving."""
        attempts = (*self.earlier.values(), *self.attempts.values())
        parts = [self.shared_j, *(attempt.energy_j for attempt in attempts if attempt.has_spent)]
        known = [joules for joules in parts if joules is not None]
        return sum(known) if len(parts) > 1 and len(known) == len(parts) else None

    @property
    def fraction(self) -> float:
        """How much is done, 0–1: of the trials there can be or of the budget, whichever is nearer its end."""
        if self.status in ("completed", "failed"):
            return 1.0
        done = 0.0 if self.ledger.budget.currency == "trials" else self.ledger.spent / self.ledger.budget.limit
        if self.plan.trials_at_most:
            epochs = self.plan.scenario.trial_epochs
            trained = sum(1.0 if trial.ended else trial.epochs / epochs for trial in self.trials)
            trained += self._trials_elsewhere
            done = max(done, trained / self.plan.trials_at_most)
        return min(done, 1.0)


def _take_in(attempts: dict[tuple[str, int], AttemptView], event: Event) -> AttemptView | None:
    """Take an event into what is known of attempts; the one that it changed, None for one that has not begun."""
    key = (event.trial_id, event.attempt)
    if isinstance(event, TrialStarted):
        attempts[key] = AttemptView(started=event)
    attempt = attempts.get(key)
    if attempt is None:
        return None
    if isinstance(event, EpochReport):
        attempt.report(event)
    elif isinstance(event, TrialEnded):
        attempt.ended = event
    elif isinstance(event, TrialMetered):
        attempt.metered = event
    return attempt


def time_left_s(fraction: float, elapsed_s: float, before: float = 0.0) -> float | None:
    """Seconds that remain if the rest goes as what was done since ``before``; None before anything is done."""
    return elapsed_s * (1 - fraction) / (fraction - before) if fraction > before else None
