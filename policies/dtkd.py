"""DTKD: one budget of τ, shared out to student and teacher by how sharp each is (Wei & Bai 2024, arXiv 2404.12711).

Across trials: nothing, one training.
Within a trial: τ_s = 2·max z_s/(max z_s + max z_t)·τ_ref and τ_t = 2·max z_t/(max z_s + max z_t)·τ_ref for each sample,
τ_ref = 4: the sharper network is softened more, and τ_s + τ_t = 2·τ_ref.

The loss, as in github.com/JinYu1998/DTKD: r·(3·mean(τ_s·τ_t·KL(q_t ‖ q_s)) + 1·mean(τ_ref²·KL at τ_ref)) + 1·CE,
with the gradient also through max z_s; r rises from 1/20 in the first epoch to 1 in the 20th (``warmup``; the
publication trains 240). With ``temperature_only`` the loss is the scenario's: then little holds the student back from
making max z_s, τ_s and so the term itself small, which the published second term, at τ_ref, does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from policies.base import OwnRange, Softening, Temperature, TrainingStep, hinton, positive
from policies.published import Published, Weights

PUBLISHED = Weights(distillation=1.0, cross_entropy=1.0)
SHARED_WEIGHT, REFERENCE_WEIGHT = 3.0, 1.0  # of the two parts of the distillation term

SMALLEST_MAXIMUM = 1e-6


def sharpness(student_logits: Tensor, teacher_logits: Tensor) -> tuple[Tensor, Tensor]:
    """The maximum of logits [..., n] over the classes, for student and teacher, [..., 1] each and positive.

    The published ratio has no meaning if a maximum is not positive, and the publication has no guard. A shift of the
    logits does not change their softmax, so both networks' logits are then shifted to mean zero, which is about the
    mean of a trained network's. Their maximum is positive unless all logits are equal. If they are, τ does not change
    the softmax, and a floor keeps τ positive.
    """
    student, teacher = student_logits.amax(-1, keepdim=True), teacher_logits.amax(-1, keepdim=True)
    as_published = torch.minimum(student, teacher) > SMALLEST_MAXIMUM
    centred_student = student - student_logits.mean(-1, keepdim=True)
    centred_teacher = teacher - teacher_logits.mean(-1, keepdim=True)
    return (
        torch.where(as_published, student, centred_student.clamp(min=SMALLEST_MAXIMUM)),
        torch.where(as_published, teacher, centred_teacher.clamp(min=SMALLEST_MAXIMUM)),
    )


class Shared(Published):
    """τ_s + τ_t = 2·τ_ref, shared out by sharpness."""

    tau_ref: Tensor

    def __init__(self, tau_ref: float, warmup: int, weights: Weights | None) -> None:
        super().__init__(weights)
        self.warmup, self.ramp = warmup, 1.0
        self.register_buffer("tau_ref", torch.tensor(tau_ref), persistent=False)

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        self.ramp = min((epoch + 1) / self.warmup, 1.0) if self.warmup else 1.0

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        student, teacher = sharpness(student_logits, teacher_logits)
        share = 2 * self.tau_ref / (student + teacher)
        tau_student, tau_teacher = student * share, teacher * share
        return Softening(tau_student, tau_teacher, tau_student * tau_teacher)

    def distillation(self, step: TrainingStep, softening: Softening) -> Tensor:
        shared, reference = step.distillation(softening), step.distillation(hinton(self.tau_ref))
        return self.ramp * (SHARED_WEIGHT * shared + REFERENCE_WEIGHT * reference)


@dataclass(frozen=True, kw_only=True)
class DTKD(OwnRange):
    """Temperatures shared out by the sharpness of student and teacher."""

    name: ClassVar[str] = "dtkd"
    tau_ref: float = 4.0
    warmup: int = 20  # epochs until distillation has its full weight; 0: from the first
    temperature_only: bool = False

    def __post_init__(self) -> None:
        positive("tau_ref", self.tau_ref)
        if self.warmup < 0:
            raise ValueError(f"warmup must be ≥ 0 epochs, got {self.warmup}")

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Shared(self.tau_ref, self.warmup, None if self.temperature_only else PUBLISHED)
