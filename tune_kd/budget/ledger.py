"""The same budget for every policy: one currency, one limit, and a ledger that charges everything spent."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from tune_kd.errors import InputError, RunFailed, nearest
from tune_kd.events import EpochReport, Event, TrialMetered, TrialStarted
from tune_kd.budget.target_track import Target

if TYPE_CHECKING:
    from tune_kd.training.teacher_outputs import PassCost  # torch: not for those who only plan

# What one of each unit is worth in its currency's base unit.
UNITS: dict[str, tuple[str, float]] = {
    "trials": ("trials", 1),
    "trial": ("trials", 1),
    "trials-equivalent": ("trials-equivalent", 1),  # energy: so many times that of one fixed-τ trial
    "epochs": ("epochs", 1),
    "epoch": ("epochs", 1),
    "flops": ("flops", 1),
    "gflops": ("flops", 1e9),
    "tflops": ("flops", 1e12),
    "pflops": ("flops", 1e15),
    "j": ("joules", 1),
    "kj": ("joules", 1e3),
    "mJ": ("joules", 1e-3),  # m and M differ by their case alone: these are read as they are typed
    "MJ": ("joules", 1e6),
    "mWh": ("joules", 3.6),
    "wh": ("joules", 3600),
    "kwh": ("joules", 3.6e6),
    "mg": ("gco2e", 1e-3),
    "g": ("gco2e", 1),
    "kg": ("gco2e", 1e3),
    "s": ("seconds", 1),
    "min": ("seconds", 60),
    "h": ("seconds", 3600),
}
EQUIVALENT = "trials-equivalent"
EXAMPLES = "20trials, 400epochs, 3e15flops, 50Wh, 15g, 10min"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much a run may spend: ``limit`` in trials, epochs, flops, joules, gco2e or seconds."""

    currency: str
    limit: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.limit) and self.limit > 0):
            raise InputError(f"the budget must be > 0 {self.currency}, got {self.limit:g}; for example {EXAMPLES}")
        if self.currency == "trials" and self.limit != int(self.limit):
            raise InputError(f"a budget in trials must be a whole number, got {self.limit:g}")

    def measured(self, trial_energy_j: float) -> Budget:
        """In joules, where it is in trials' equivalents: so many times what one fixed-τ trial was measured to use."""
        return Budget(currency="joules", limit=self.limit * trial_energy_j) if self.currency == EQUIVALENT else self


def parse_budget(text: str) -> Budget:
    """``20trials``, ``0.05kWh``, …: a number and its unit. Raises InputError."""
    match = re.fullmatch(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z-]*)\s*", text)
    if match is None:
        raise InputError(f"the budget {text!r} is not a number with a unit; for example {EXAMPLES}")
    number, unit = match.groups()
    if not unit:
        raise InputError(f"budget {text!r}: the unit is missing; for example {EXAMPLES}")
    unit = unit if unit in UNITS else unit.lower()
    if unit not in UNITS:
        raise InputError(f"budget {text!r}: unknown unit {unit!r}; {nearest(unit, UNITS)}; for example {EXAMPLES}")
    currency, worth = UNITS[unit]
    return Budget(currency=currency, limit=float(number) * worth)


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

    def share(self, cost: PassCost) -> None:
        """Charge what the teacher's outputs have cost the run so far: once, whatever the number of its trials."""
        if self.budget.currency not in SPENT:
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
    def half_spent(self) -> bool:
        """Is half of the budget gone, or more? In trials and epochs nothing but those spends it."""
        return self.budget.currency in SPENT and self.spent > self.budget.limit / 2

    def _unmeasured(self, what: str) -> str:
        return (
            f"the budget is in {self.budget.currency}, and nothing measured what {what} spent; "
            f"use another currency, or see tune-kd doctor"
        )

    def _charge(self, report: EpochReport) -> None:
        key = (report.trial_id, report.attempt)
        attempt = self.attempts.setdefault(key, _Attempt(first_epoch=report.epoch, epoch=report.epoch))
        attempt.epoch = max(attempt.epoch, report.epoch)
        if self.budget.currency in SPENT:
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
