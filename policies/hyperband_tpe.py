"""Hyperband with TPE's suggestions (BOHB's idea, Falkner et al. 2018), by Optuna and Ray Tune's asynchronous Hyperband.

Across trials: τ as TPE suggests it, from the trials that were stopped, too. Each trial belongs to one of ``brackets``:
those of bracket s run ``grace``·``reduction``^s epochs before the worse ones are stopped, as ``asha`` stops them,
so a late bloomer has a chance in one bracket or another. The epochs saved are left in the budget.
Within a trial: constant τ.

A trial's bracket is a function of its index, so a seed gives the same trials in every repeat. Which of them are
stopped depends on their order, unless they run one at a time: see ``asha``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from policies.tpe import TPE

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler


@dataclass(frozen=True, kw_only=True)
class HyperbandTPE(TPE):
    """TPE with asynchronous Hyperband."""

    name: ClassVar[str] = "hyperband-tpe"
    grace: int = 1  # epochs that every trial of the first bracket gets
    reduction: int = 3  # one of so many goes on at each rung, Hyperband's own η
    brackets: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.grace < 1:
            raise ValueError(f"grace must be ≥ 1 epoch, got {self.grace}")
        if self.reduction < 2:
            raise ValueError(f"reduction must be ≥ 2, got {self.reduction}")
        if self.brackets < 1:
            raise ValueError(f"brackets must be ≥ 1, got {self.brackets}")

    def scheduler(self) -> TrialScheduler:
        from policies.schedulers import Brackets

        return Brackets(self.grace, self.reduction, self.brackets)
