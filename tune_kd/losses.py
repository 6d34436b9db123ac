"""Distillation losses as pure functions. Everything is computed in float32 or wider.

Logits are [B, n] or [B, A, n], the classes last. Each term takes a :class:`~policies.base.Softening` (τ_s, τ_t and a
weight) and is a mean over the batch and its anchors.
Sources: Hinton et al. 2015 (HKD); Rafat et al. 2023 for CMC, DML and their altered forms with a τ. Its text sums a KL
term over classes (``batchmean``), its code also averages over them (``classmean``: the KL term divided by n).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from policies.base import Softening

REDUCTIONS = ("batchmean", "classmean")


def softened_kl(student: Tensor, teacher: Tensor, softening: Softening) -> Tensor:
    """weight·KL(q_t ‖ q_s) of each softmax, [B] or [B, A], with q = softmax(z/τ)."""
    log_student = F.log_softmax(student / softening.tau_student, dim=-1)
    log_teacher = F.log_softmax(teacher / softening.tau_teacher, dim=-1)
    kl = F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=-1)
    # A per-sample τ has a per-sample weight, which must multiply before the mean over the batch.
    return softening.weight.squeeze(-1) * kl


def hinton_distillation(student: Tensor, teacher: Tensor, softening: Softening, reduction: str) -> Tensor:
    """The mean of weight·KL(q_t ‖ q_s), a scalar; ``classmean`` divides it by the class count.

    ``weight`` is τ² for a common τ, so that the gradient is flat in τ.
    """
    term = softened_kl(wide(student), wide(teacher), softening).mean()
    return term / student.shape[-1] if reduction == "classmean" else term


def cross_entropy(student: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy, a scalar; ``labels``, [B] or [B, A], are class indices."""
    return F.cross_entropy(wide(student).flatten(end_dim=-2), labels.flatten())


def logit_matching(student: Tensor, teacher: Tensor, _: Softening, reduction: str) -> Tensor:
    """CMC: the mean of (z_s − z_t)², a scalar. A mean over batch and classes by definition, whatever the reduction."""
    return F.mse_loss(wide(student), wide(teacher))


def softened_logit_matching(student: Tensor, teacher: Tensor, softening: Softening, reduction: str) -> Tensor:
    """CMC-τ: the mean of (z_s/τ_s − z_t/τ_t)², a scalar. Its gradient goes as 1/τ²: to tune τ is to tune a weight."""
    return F.mse_loss(wide(student) / softening.tau_student, wide(teacher) / softening.tau_teacher)


def divergence(student: Tensor, teacher: Tensor, softening: Softening, reduction: str) -> Tensor:
    """DML: the mean of KL(p_t ‖ p_s) at τ = 1, a scalar."""
    one = torch.ones_like(softening.weight)
    return hinton_distillation(student, teacher, Softening(one, one, one), reduction)


def softened_divergence(student: Tensor, teacher: Tensor, softening: Softening, reduction: str) -> Tensor:
    """DML-τ: the mean of KL(q_t ‖ q_s), a scalar, without τ²: its gradient goes as 1/τ² for large τ."""
    return hinton_distillation(
        student, teacher, softening._replace(weight=torch.ones_like(softening.weight)), reduction
    )


DISTILLATIONS = {
    "hkd": hinton_distillation,
    "cmc": logit_matching,
    "cmc-tau": softened_logit_matching,
    "dml": divergence,
    "dml-tau": softened_divergence,
}
"""The distillation term of each loss: the loss is α parts of it and 1 − α of the cross-entropy. ``ce`` has none."""


def wide(logits: Tensor) -> Tensor:
    """Half-precision logits widened: in bf16 a loss is off by up to 4 % at τ = 20."""
    return logits if logits.dtype == torch.float64 else logits.float()
