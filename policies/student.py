"""The student alone: cross-entropy on the labels, no teacher; the reference for every distillation.

Across trials: nothing, one training.
Within a trial: no τ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from policies.base import Policy, Softening, StepLoss, Temperature, TrainingStep

if TYPE_CHECKING:
    from search_spaces import Space


class NoTeacher(Temperature):
    """The loss is the cross-entropy, whatever the scenario's is; nothing is softened."""

    needs_teacher = reads_teacher = False

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        raise ValueError("a student without a teacher has no temperature")

    def loss(self, step: TrainingStep) -> StepLoss:
        return StepLoss(step.cross_entropy(), tau=None)


@dataclass(frozen=True, kw_only=True)
class Student(Policy):
    """No distillation."""

    name: ClassVar[str] = "student"

    def restart_params(self, space: Space) -> dict[str, float]:
        """α = 0, so that the record says that nothing of the loss is distillation."""
        return {"alpha": 0.0}

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return NoTeacher()
