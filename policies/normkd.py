"""NormKD: τ of each sample in proportion to the spread of its logits (Chi et al. 2023, arXiv 2308.00520).

Across trials: nothing, one training.
Within a trial: τ_s = 2·std(z_s) and τ_t = 2·std(z_t) for each sample, from the logits of the moment.

The loss, as in github.com/gizi1/NormKD: 0.9·mean(τ_t²·KL(q_t ‖ q_s)) + 0.1·CE, with the gradient also through
std(z_s). With ``temperature_only`` the loss is the scenario's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from policies.base import Policy, Softening, Temperature, positive
from policies.published import Published, Weights

if TYPE_CHECKING:
    from search_spaces import Space

PUBLISHED = Weights(distillation=0.9, cross_entropy=0.1)

# The published code divides by the standard deviation as it is, and the gradient grows as its inverse: a network
# whose logits are still all but equal, as with a last layer that begins at zero, would be thrown away by one step.
# Where logits differ at all they differ by more than this: those of a network just initialised by about 0.1.
SMALLEST_DEVIATION = 0.01


def standard_deviation(logits: Tensor) -> Tensor:
    """Of each sample's logits [B, n] over the classes, [B, 1], with n − 1 as in the published code; at least 0.01."""
    return logits.std(dim=1, keepdim=True).clamp(min=SMALLEST_DEVIATION)


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
class NormKD(Policy):
    """Temperatures in proportion to the spread of the logits."""

    name: ClassVar[str] = "normkd"
    moves_within: ClassVar[bool] = True
    base_tau: float = 2.0
    temperature_only: bool = False

    def __post_init__(self) -> None:
        positive("base_tau", self.base_tau)

    def restart_params(self, space: Space) -> dict[str, float]:
        """None: the range of τ is the method's own, not the space's."""
        return {}

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Normalised(self.base_tau, None if self.temperature_only else PUBLISHED)
