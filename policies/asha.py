"""Asynchronous successive halving (Li et al. 2020), by Ray Tune: random search that stops the worse trials early.

Across trials: τ drawn uniformly from the space, as random search with the same seed draws it. After ``grace``
epochs, and again after each ``reduction`` times as many, a trial goes on only if its validation accuracy is
among the best 1/``reduction`` of those that got so far. The epochs saved are left in the budget.
Within a trial: constant τ.

Which values are tried is fixed by the seed. Which trials are stopped is not, unless they run one at a time: a trial
is judged against those that came before it, and with several at a time their order depends on the machine's load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from policies.random import Random

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler


@dataclass(frozen=True, kw_only=True)
class ASHA(Random):
    """Random search with early stopping."""

    name: ClassVar[str] = "asha"
    adapts: ClassVar[bool] = True
    grace: int = 1  # epochs that every trial gets
    reduction: int = 4  # one of so many goes on at each rung, Ray's own default

    def __post_init__(self) -> None:
        if self.grace < 1:
            raise ValueError(f"grace must be ≥ 1 epoch, got {self.grace}")
        if self.reduction < 2:
            raise ValueError(f"reduction must be ≥ 2, got {self.reduction}")

    def scheduler(self) -> TrialScheduler:
        from policies.schedulers import successive_halving

        return successive_halving(self.grace, self.reduction)
