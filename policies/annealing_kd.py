"""Annealing-KD: logits matched step by step, then labels without a teacher (Jafari et al. 2021).

Across trials: nothing, one training.
Within a trial: phase 1 minimises the mean of (z_s − Φ(T)·z_t)², Φ(T) = 1 − (T − 1)/τ_max, while T steps from τ_max
down to 1; phase 2 minimises the cross-entropy alone, without the teacher.

Source: "Annealing Knowledge Distillation", EACL 2021, and its code: τ_max = 10, as many epochs in either phase. The
code steps T with an epoch. Here each T has the same share of the phase's batches, which is the same if τ_max divides
the epochs, and T reaches 1 in a short training too. The authors begin phase 2 with a new learning rate and
the best weights of phase 1; here the recipe's schedule runs through both.

``temperature_only`` keeps the steps of T and leaves out the rest: the scenario's loss, its teacher too, at τ = T.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from policies.base import Policy, Softening, StepLoss, Temperature, TrainingStep, hinton

if TYPE_CHECKING:
    from search_spaces import Space


def annealed_matching(
    student_logits: Tensor,
    teacher_logits: Tensor,
    tau: Tensor,
    tau_max: int,
    distance: Callable[[Tensor, Tensor], Tensor] = F.mse_loss,
) -> Tensor:
    """The ``distance`` of z_s and Φ(τ)·z_t, a scalar: the mean over batch, anchors and classes of (z_s − Φ(τ)·z_t)².

    τ is ().
    """
    return distance(student_logits, teacher_logits * (1 - (tau - 1) / tau_max))


class Steps(Temperature):
    """T = τ_max, τ_max − 1, …, 1 in equal shares of the first phase's batches, and 1 in the second."""

    taus: Tensor

    def __init__(self, tau_max: int, phase_1: float, *, temperature_only: bool) -> None:
        super().__init__()
        self.tau_max, self.phase_1, self.temperature_only = tau_max, phase_1, temperature_only
        self.reads_teacher = not temperature_only
        self.register_buffer("taus", torch.empty(0), persistent=False)

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        first = math.ceil(self.phase_1 * epochs)  # epochs of phase 1, never none
        batches = torch.arange(epoch * steps, (epoch + 1) * steps)
        stage = batches * self.tau_max // (first * steps)
        self.taus = (self.tau_max - stage).clamp(min=1).float().to(self.taus.device)
        self.needs_teacher = self.temperature_only or epoch < first

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        return hinton(self.taus[step])

    def loss(self, step: TrainingStep) -> StepLoss:
        if self.temperature_only:
            return super().loss(step)
        if step.teacher_logits is None:
            return StepLoss(step.cross_entropy(), None)
        tau = self.taus[step.number]
        logits = step.student_logits, step.teacher_logits
        return StepLoss(annealed_matching(*logits, tau, self.tau_max, step.squared_distance), tau)


@dataclass(frozen=True, kw_only=True)
class AnnealingKD(Policy):
    """Annealed logits, then labels."""

    name: ClassVar[str] = "annealing-kd"
    moves_within: ClassVar[bool] = True
    tau_max: int = 10
    phase_1: float = 0.5  # its share of the epochs
    temperature_only: bool = False  # the scenario's loss with the stepped τ

    def __post_init__(self) -> None:
        if self.tau_max < 1:
            raise ValueError(f"tau_max must be ≥ 1, got {self.tau_max}")
        if not 0 < self.phase_1 < 1:
            raise ValueError(f"phase_1 must be a share of the epochs between 0 and 1, got {self.phase_1}")

    def restart_params(self, space: Space) -> dict[str, float]:
        """τ_max: the method's own, not the space's."""
        return {"tau_high": self.tau_max}

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        tau_max = params.get("tau_high", self.tau_max)
        if not (math.isfinite(tau_max) and tau_max >= 1 and tau_max == int(tau_max)):
            raise ValueError(f"tau_high must be a whole number ≥ 1, got {tau_max}")
        return Steps(int(tau_max), self.phase_1, temperature_only=self.temperature_only)
