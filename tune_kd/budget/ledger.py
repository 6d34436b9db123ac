"""The same budget for every policy: one currency, one limit, and a ledger that charges everything spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from tune_kd.budget.amount import Budget
from tune_kd.budget.target_track import Target
from tune_kd.errors import RunFailed
from tune_kd.events import EpochReport, Event, TrialMetered, TrialStarted

if TYPE_CHECKING:
    from tune_kd.budget.cost import Cost

# What an attempt has spent by the time of a report, in each currency that a report can be charged in.
SPENT: dict[str, Callable[[EpochReport], float | None]] = {
    "flops": lambda report: report.flops_executed,
    "joules": lambda report: report.energy_j,
    "gco2e": lambda report: report.co2e_g,
    "seconds": lambda report: report.duration_s,
}


@dataclass(kw_only=True)
class _Attempt:
    first_epoch: int
    epoch: int
    spent: float = 0.0

    @property
    def epochs(self) -> int:
        return self.epoch - self.first_epoch + 1


@dataclass(kw_only=True)
class Ledger:
    """What a run has spent, from its events; says when no trial may start and when one must stop.

    Attempts are charged by (trial, attempt, epoch), so that an event that comes twice counts once.
    """

    budget: Budget
    max_trials: int | None = None  # the recipe track's cap: the policy's native number of trials
    target: Target | None = None  # the target track's: once it is reached, nothing more is spent
    trials: set[str] = field(default_factory=set)
    attempts: dict[tuple[str, int], _Attempt] = field(default_factory=dict)
    shared: float = 0.0  # what the trials share, in the budget's currency; no trial and no epoch is spent on it
    _of_attempts: Fraction = Fraction()  # the exact sum of what they spent, kept: there may be 10,000 of them

    def __call__(self, event: Event) -> None:
        if isinstance(event, TrialStarted):
            self.trials.add(event.trial_id)
        elif isinstance(event, EpochReport):
            self._charge(event)
        elif isinstance(event, TrialMetered):
            self._settle(event)
        if self.target is not None:
            self.target(event)

    def reserve(self, trial_id: str) -> None:
        """Count a trial as started from its suggestion on, so that no other takes its place meanwhile."""
        self.trials.add(trial_id)

    def share(self, cost: Cost) -> None:
        """Charge what the teacher's outputs have cost the run so far: once, whatever the number of its trials."""
        if not self.charges_costs:
            return
        spent = {
            "flops": cost.flops,
            "joules": cost.energy_j,
            "gco2e": cost.co2e_g,
            "seconds": cost.duration_s,
        }[self.budget.currency]
        if spent is None:
            raise RunFailed(self._unmeasured("the teacher's shared outputs"))
        self.shared = spent

    @property
    def charges_costs(self) -> bool:
        """Is the budget in what a report has spent? In trials and epochs nothing but those spends it."""
        return self.budget.currency in SPENT

    def half_left(self, more: float = 0.0) -> bool:
        """Is half of the budget left after what is spent and ``more`` in its currency? In trials and epochs always."""
        return not self.charges_costs or self.spent + more <= self.budget.limit / 2

    def _unmeasured(self, what: str) -> str:
        return (
            f"the budget is in {self.budget.currency}, and nothing measured what {what} spent; "
            f"use another currency, or see tune-kd doctor"
        )

    def _charge(self, report: EpochReport) -> None:
        key = (report.trial_id, report.attempt)
        attempt = self.attempts.setdefault(key, _Attempt(first_epoch=report.epoch, epoch=report.epoch))
        attempt.epoch = max(attempt.epoch, report.epoch)
        if self.charges_costs:
            spent = SPENT[self.budget.currency](report)
            if spent is None:
                raise RunFailed(self._unmeasured(report.trial_id))
            self._pay(attempt, max(attempt.spent, spent))

    def _settle(self, account: TrialMetered) -> None:
        """Energy is charged to the end of an attempt, which may lie behind its last report."""
        closed = {"joules": account.energy_j, "gco2e": account.co2e_g}.get(self.budget.currency)
        if closed is not None:
            key = (account.trial_id, account.attempt)
            self._pay(self.attempts.setdefault(key, _Attempt(first_epoch=1, epoch=0)), closed)

    def _pay(self, attempt: _Attempt, spent: float) -> None:
        self._of_attempts += Fraction(spent) - Fraction(attempt.spent)
        attempt.spent = spent

    @property
    def spent(self) -> float:
        """In the budget's currency; started trials count however short, and however often they were retried."""
        if self.budget.currency == "trials":
            return len(self.trials)
        if self.budget.currency == "epochs":
            return sum(attempt.epochs for attempt in self.attempts.values())
        return float(self._of_attempts + Fraction(self.shared))  # rounded once, whatever the order of the events

    @property
    def overshoot(self) -> float:
        """By how much the limit was passed: at most one epoch for each trial that was running."""
        return max(0.0, self.spent - self.budget.limit)

    @property
    def reached(self) -> bool:
        """Is the run over because its target was reached? Never, on the other tracks."""
        return self.target is not None and self.target.reached

    @property
    def exhausted(self) -> bool:
        """May nothing go on, not even a trial that was started before? In trials a started one may always end."""
        return self.reached or (self.budget.currency != "trials" and self.spent >= self.budget.limit)

    def may_start(self) -> bool:
        """Is there budget for one more trial?"""
        if self.reached or (self.max_trials is not None and len(self.trials) >= self.max_trials):
            return False
        return self.spent < self.budget.limit

    def must_stop(self, trial_id: str, attempt: int) -> bool:
        """Is what remains less than one mean epoch of this attempt? A trial that has started may end, in trials."""
        if self.reached or self.budget.currency == "trials":
            return self.reached
        known = self.attempts.get((trial_id, attempt))
        if known is None:
            return self.spent >= self.budget.limit
        mean_epoch = 1.0 if self.budget.currency == "epochs" else known.spent / max(known.epochs, 1)
        return self.budget.limit - self.spent < mean_epoch
