"""NormKD: τ of each sample in proportion to the spread of its logits (Chi et al. 2023, arXiv 2308.00520).

Across trials: nothing, one training.
Within a trial: τ_s = 2·std(z_s) and τ_t = 2·std(z_t) for each sample, from the logits of the moment.

The loss, as in github.com/gizi1/NormKD: 0.9·mean(τ_t²·KL(q_t ‖ q_s)) + 0.1·CE, with the gradient also through
std(z_s). With ``temperature_only`` the loss is the scenario's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from policies.base import Softening, Temperature
from policies.published import Published, Weights
from policies.spread import SpreadPolicy, standard_deviation

PUBLISHED = Weights(distillation=0.9, cross_entropy=0.1)


class Normalised(Published):
    """τ of each network as a multiple of the standard deviation of its logits, the weight the teacher's τ²."""

    def __init__(self, base_tau: float, weights: Weights | None) -> None:
        super().__init__(weights)
        self.base_tau = base_tau

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        tau_student = self.base_tau * standard_deviation(student_logits)
        tau_teacher = self.base_tau * standard_deviation(teacher_logits)
        return Softening(tau_student, tau_teacher, tau_teacher.square())


@dataclass(frozen=True, kw_only=True)
class NormKD(SpreadPolicy):
    """Temperatures in proportion to the spread of the logits."""

    name: ClassVar[str] = "normkd"

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Normalised(self.base_tau, None if self.temperature_only else PUBLISHED)
