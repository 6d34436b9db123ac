"""CTKD: one temperature, learned against the student, whose task grows harder (Li et al. 2023).

Across trials: nothing, one training.
Within a trial: τ = 1 + 20·sigmoid(θ), θ = 1 at first. The student's optimizer learns θ with the student's weights, but
on a gradient that is multiplied by λ(e) = −½·(1 − cos(π·min(e, E)/E)): θ climbs the loss, ever more over E = 10 epochs.

Source: "Curriculum Temperature for Knowledge Distillation", AAAI 2023, its global version and its code, which counts
epochs from 1. τ is that of student and teacher, and the weight τ² takes part in the gradient.

In the original θ may reach values at which the sigmoid is flat, and τ then stays there. Here θ is put back into
[−``limit``, ``limit``] before each batch: at ±4, τ is 1.36 or 20.64 and the slope of the sigmoid 7 % of its greatest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from policies.base import OwnRange, Softening, Temperature, hinton

START = 1.0


def reversal(epoch: int, ramp: int) -> float:
    """λ of ``epoch``, the first of which is 1: from 0 to −1 over ``ramp`` epochs, slow at both ends."""
    return -(1 - math.cos(math.pi * min(epoch, ramp) / ramp)) / 2


class ScaledGradient(torch.autograd.Function):
    """The identity; on the way back it multiplies the gradient by a number."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        """``values`` as they are."""
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The gradient times ``factor``, which itself has none."""
        return ctx.factor * gradients[0], None


class Adversary(Temperature):
    """θ, which learns to make the loss greater."""

    reads_teacher = False

    def __init__(self, ramp: int, limit: float) -> None:
        super().__init__()
        self.ramp, self.limit = ramp, limit
        self.theta = nn.Parameter(torch.tensor(START))
        self.factor = 0.0  # a Python number is an argument of the kernel: it waits for no copy

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        self.factor = reversal(epoch + 1, self.ramp)

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        with torch.no_grad():  # a projection of θ itself: a clamp in the formula would end its gradient
            self.theta.nan_to_num_(START).clamp_(-self.limit, self.limit)
        theta: Tensor = ScaledGradient.apply(self.theta, self.factor)
        return hinton(1 + 20 * torch.sigmoid(theta))


@dataclass(frozen=True, kw_only=True)
class CTKD(OwnRange):
    """A learned τ against the student."""

    name: ClassVar[str] = "ctkd"
    ramp: int = 10  # epochs until the gradient is reversed in full
    limit: float = 4.0  # |θ| at most

    def __post_init__(self) -> None:
        if self.ramp < 1:
            raise ValueError(f"ramp must be ≥ 1 epoch, got {self.ramp}")
        if not START <= self.limit <= 10:
            raise ValueError(f"limit must be from {START:g}, where θ starts, to 10, got {self.limit}")

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Adversary(self.ramp, self.limit)
