"""The paper's idea, homing in: random τ for every batch, from a window that settles where validation was best.

Across trials: nothing, one training.
Within a trial: each epoch draws the centre c of its window, and each batch τ ~ U from the quarter (``window``) of the
space's range about c. In the first epoch c may be anywhere. In epoch e of E it lies in the share 1 − e/E of the range,
about the centre of the epoch with the best validation accuracy so far (the earliest of equals).

A variant of Rafat et al. 2023 (``stochastic.py``), of this project. One training cannot separate
the effect of τ from that of the epoch: while accuracy still rises the best epoch is often the last one, and the centre
moves. It settles as accuracy levels off, and τ remains random to the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from policies.base import Temperature
from policies.stochastic import PerBatch, Stochastic, epoch_seed, uniform


class AroundBest(PerBatch):
    """τ drawn uniformly for each batch from the epoch's window, a function of (seed, epoch, reports so far)."""

    def __init__(self, low: float, high: float, step: float | None, seed: int, window: float) -> None:
        super().__init__(low, high, step, seed)
        self.half_width = window * (self.high - self.low) / 2
        self.centre = self.best_centre = (self.low + self.high) / 2
        self.best_accuracy = -math.inf

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, epoch))
        first, last = self.low + self.half_width, self.high - self.half_width
        reach = (last - first) * (1 - epoch / epochs)
        start = min(max(self.best_centre - reach / 2, first), last - reach)
        self.centre = uniform(start, start + reach, None, 1, generator).item()
        low, high = self.level(self.centre - self.half_width), self.level(self.centre + self.half_width)
        self.taus = uniform(low, high, self.step, steps, generator).to(self.taus.device)

    def level(self, tau: float) -> float:
        """The level nearest to ``tau``, or ``tau`` itself if τ is real. Never outside the range."""
        if self.step is not None:
            highest = math.floor((self.high - self.low) / self.step + 1e-9)
            tau = self.low + self.step * min(round((tau - self.low) / self.step), highest)
        return min(max(tau, self.low), self.high)

    def observe(self, report: Mapping[str, Any]) -> None:
        if report["val_score"] > self.best_accuracy:
            self.best_centre, self.best_accuracy = self.centre, report["val_score"]

    def get_extra_state(self) -> dict[str, float]:
        return {"best_centre": self.best_centre, "best_accuracy": self.best_accuracy}

    def set_extra_state(self, state: dict[str, float]) -> None:
        self.best_centre, self.best_accuracy = state["best_centre"], state["best_accuracy"]


@dataclass(frozen=True, kw_only=True)
class StochasticAroundBest(Stochastic):
    """A fresh random τ for every batch, about the best centre so far."""

    name: ClassVar[str] = "stochastic-around-best"
    window: float = 0.25  # the share of the space's range that the batches of one epoch draw from

    def __post_init__(self) -> None:
        if not 0 < self.window <= 1:
            raise ValueError(f"window must be > 0 and ≤ 1, got {self.window}")

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return AroundBest(*self.range(params), seed, self.window)
