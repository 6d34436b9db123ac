"""Logit standardization: both networks' logits as z-scores, softened by a base τ (Sun et al., CVPR 2024).

Across trials: nothing, one training.
Within a trial: q = softmax((z − mean)/std/τ) for each sample and network, base τ = 2. Softmax does not see
the mean, so that is τ_s = τ·std(z_s) and τ_t = τ·std(z_t).

The loss, as in github.com/sunshangquan/logit-standardization-KD: 9·mean(τ²·KL(q_t ‖ q_s)) + 1·CE with the base τ,
with the gradient also through std(z_s). With ``temperature_only`` the loss is the scenario's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from policies.base import Softening, Temperature
from policies.published import Published, Weights
from policies.spread import SpreadPolicy, standard_deviation

PUBLISHED = Weights(distillation=9.0, cross_entropy=1.0)


class Standardised(Published):
    """τ of each network as a multiple of the standard deviation of its logits, the weight the multiple's square."""

    weight: Tensor

    def __init__(self, base_tau: float, weights: Weights | None) -> None:
        super().__init__(weights)
        self.base_tau = base_tau
        self.register_buffer("weight", torch.tensor(base_tau**2), persistent=False)

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        tau_student = self.base_tau * standard_deviation(student_logits)
        tau_teacher = self.base_tau * standard_deviation(teacher_logits)
        return Softening(tau_student, tau_teacher, self.weight)


@dataclass(frozen=True, kw_only=True)
class LogitStandardization(SpreadPolicy):
    """Temperatures that make z-scores of the logits."""

    name: ClassVar[str] = "logit-standardization"

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Standardised(self.base_tau, None if self.temperature_only else PUBLISHED)
