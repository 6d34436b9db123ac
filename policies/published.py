"""The loss of a method whose publication fixes more than τ: it comes with the weights of its terms."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from policies.base import Softening, StepLoss, Temperature, TrainingStep


class Weights(NamedTuple):
    """How a publication adds its terms up: the scenario's α has no part in it."""

    distillation: float
    cross_entropy: float


class Published(Temperature):
    """The temperature of a published method, and its loss: w_kd·distillation + w_ce·cross-entropy.

    Without ``weights`` the loss is the scenario's, which isolates the temperature. In both cases the distillation term
    and its reduction over classes are the scenario's; the publications use ``hkd`` and ``batchmean``.
    """

    def __init__(self, weights: Weights | None) -> None:
        super().__init__()
        self.weights = weights

    def loss(self, step: TrainingStep) -> StepLoss:
        if self.weights is None:
            return super().loss(step)
        softening = self.softening(step)
        distillation, cross_entropy = self.distillation(step, softening), step.cross_entropy()
        total = self.weights.distillation * distillation + self.weights.cross_entropy * cross_entropy
        return StepLoss(total, softening.tau_student)

    def distillation(self, step: TrainingStep, softening: Softening) -> Tensor:
        """The distillation term, a scalar; a method of several terms adds them up here."""
        return step.distillation(softening)
