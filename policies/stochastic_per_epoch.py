"""The paper's idea, coarser: a fresh random τ for every epoch.

Across trials: nothing, one training.
Within a trial: τ ~ U{2..20} for each epoch, or τ ~ U[2, 20] with ``continuous``; all its batches have that τ.

A variant of Rafat et al. 2023 (``stochastic.py``), of this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from policies.base import Temperature
from policies.stochastic import PerBatch, Stochastic


class PerEpoch(PerBatch):
    """τ drawn uniformly for each epoch, a function of (seed, epoch)."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return super().draw(1, generator).expand(count)


@dataclass(frozen=True, kw_only=True)
class StochasticPerEpoch(Stochastic):
    """A fresh random τ for every epoch."""

    name: ClassVar[str] = "stochastic-per-epoch"

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return PerEpoch(*self.range(params), seed)
