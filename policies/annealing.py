"""Annealing: τ falls from its highest to its lowest value while the student learns (generic decay).

Across trials: nothing, one training.
Within a trial: τ(u) over the training's progress u ∈ [0, 1], from the space's highest τ at the first
batch to its lowest at the last, linear, cosine or exponential.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from policies.base import Policy, Softening, Temperature, hinton, positive


def linear(u: Tensor, high: float, low: float) -> Tensor:
    """τ(u) = high + (low − high)·u."""
    return high + (low - high) * u


def cosine(u: Tensor, high: float, low: float) -> Tensor:
    """τ(u) = low + (high − low)·(1 + cos πu)/2: slow at both ends."""
    return low + (high - low) * (1 + torch.cos(math.pi * u)) / 2


def exponential(u: Tensor, high: float, low: float) -> Tensor:
    """τ(u) = high·(low/high)^u: the same ratio with every batch."""
    return high * (low / high) ** u


SHAPES = {"linear": linear, "cosine": cosine, "exponential": exponential}


class Decay(Temperature):
    """τ as a function of the training's progress."""

    taus: Tensor
    reads_teacher = False

    def __init__(self, shape: str, high: float, low: float) -> None:
        super().__init__()
        self.curve, self.high, self.low = SHAPES[shape], positive("tau_high", high), positive("tau_low", low)
        self.register_buffer("taus", torch.empty(0), persistent=False)

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        batches = torch.arange(epoch * steps, (epoch + 1) * steps, dtype=torch.float64)
        progress = batches / max(epochs * steps - 1, 1)
        self.taus = self.curve(progress, self.high, self.low).float().to(self.taus.device)

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        return hinton(self.taus[step])


@dataclass(frozen=True, kw_only=True)
class Annealing(Policy):
    """Decay of τ over training."""

    name: ClassVar[str] = "annealing"
    moves_within: ClassVar[bool] = True
    shape: str = "linear"

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"shape must be one of {', '.join(SHAPES)}, got {self.shape!r}")

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Decay(self.shape, params.get("tau_high", 20), params.get("tau_low", 2))
