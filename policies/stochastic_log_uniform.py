"""The paper's idea with every order of τ alike: log τ, not τ, is drawn uniformly for every batch.

Across trials: nothing, one training.
Within a trial: log τ ~ U[log 2, log 20] for each batch, so that [2, 4] is as likely as [5, 10]; τ is real, whatever
the step of the space.

A variant of Rafat et al. 2023 (``stochastic.py``), of this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from policies.base import Policy, Temperature
from policies.stochastic import PerBatch


class LogUniform(PerBatch):
    """τ = low·(high/low)^u with u uniform, for each batch."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        drawn = self.low * (self.high / self.low) ** torch.rand(count, generator=generator, device=generator.device)
        return drawn.clamp(self.low, self.high)  # rounding may overstep by the last digit


@dataclass(frozen=True, kw_only=True)
class StochasticLogUniform(Policy):
    """A fresh random τ for every batch, uniform in its logarithm."""

    name: ClassVar[str] = "stochastic-log-uniform"
    moves_within: ClassVar[bool] = True

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return LogUniform(params.get("tau_low", 2), params.get("tau_high", 20), None, seed)
