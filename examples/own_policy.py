"""A policy of your own: τ rises and falls in triangles while the student learns.

Across trials: nothing, one training is the recipe.
Within a trial: τ goes from the space's lowest value to its highest and back, ``cycles`` times, batch by batch.

Run it:       tune-kd run --policy own_policy.py:Triangle
With options: tune-kd run --policy own_policy.py:Triangle:cycles=5
Against ours: tune-kd compare --policies grid,stochastic,own_policy.py:Triangle

``policies.testing.check_policy(Triangle())`` checks the contract. ``tune-kd new policy NAME`` writes a file like this
one and a test of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from policies import Policy
from policies.base import Softening, Temperature, hinton, positive


def triangle(progress: Tensor, cycles: int, low: float, high: float) -> Tensor:
    """τ at each ``progress`` ∈ [0, 1] of the training: ``low`` at both ends of a cycle, ``high`` in its middle."""
    within = progress * cycles % 1
    return low + (high - low) * (1 - (2 * within - 1).abs())


class Wave(Temperature):
    """τ as a function of the training's progress. It draws nothing and learns nothing, so it has no state to keep."""

    taus: Tensor  # [steps] of this epoch
    reads_teacher = False  # forward() does not use the teacher's logits

    def __init__(self, cycles: int, low: float, high: float) -> None:
        super().__init__()
        self.cycles, self.low, self.high = cycles, positive("tau_low", low), positive("tau_high", high)
        self.register_buffer("taus", torch.empty(0), persistent=False)  # a buffer: it moves with the module's device

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        """Compute the τ of every batch of ``epoch``, 0 being the first, so that no step waits for the device."""
        batches = torch.arange(epoch * steps, (epoch + 1) * steps, dtype=torch.float64)
        taus = triangle(batches / (epochs * steps), self.cycles, self.low, self.high)
        self.taus = taus.float().to(self.taus.device)

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        """The softening of batch ``step``: the same τ for student and teacher, and the weight τ² of Hinton's loss."""
        return hinton(self.taus[step])


@dataclass(frozen=True, kw_only=True)
class Triangle(Policy):
    """The fields are the options. Each has a default and is checked when the policy is made."""

    name: ClassVar[str] = "triangle"  # its name in the results
    moves_within: ClassVar[bool] = True  # τ moves within a trial
    cycles: int = 3

    def __post_init__(self) -> None:
        if self.cycles < 1:
            raise ValueError(f"cycles must be at least 1, got {self.cycles}")

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        """τ within one trial. ``params`` has the range of the search space."""
        return Wave(self.cycles, params.get("tau_low", 2), params.get("tau_high", 20))
