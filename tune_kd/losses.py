"""Distillation losses as pure functions. Everything is computed in float32 or wider.

Logits are [B, n] or [B, A, n], the classes last. Each term takes a :class:`~policies.base.Softening` (τ_s, τ_t and a
weight) and is a scalar: the plain mean over the batch and its anchors, or what ``mean`` makes of a value of each
softmax, [B] or [B, A].
Sources: Hinton et al. 2015 (HKD); Rafat et al. 2023 for CMC, DML and their altered forms with a τ. Its text sums a KL
term over classes (``batchmean``), its code also averages over them (``classmean``: the KL term divided by n).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from policies.base import Softening

Mean = Callable[[Tensor], Tensor]

REDUCTIONS = ("batchmean", "classmean")


def softened_kl(student: Tensor, teacher: Tensor, softening: Softening) -> Tensor:
    """weight·KL(q_t ‖ q_s) of each softmax, [B] or [B, A], with q = softmax(z/τ)."""
    log_student = F.log_softmax(student / softening.tau_student, dim=-1)
    log_teacher = F.log_softmax(teacher / softening.tau_teacher, dim=-1)
    kl = F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=-1)
    # A per-sample τ has a per-sample weight, which must multiply before the mean over the batch.
    return softening.weight.squeeze(-1) * kl


def hinton_distillation(
    student: Tensor, teacher: Tensor, softening: Softening, reduction: str, mean: Mean = torch.mean
) -> Tensor:
    """The mean of weight·KL(q_t ‖ q_s), a scalar; ``classmean`` divides it by the class count.

    ``weight`` is τ² for a common τ, so that the gradient is flat in τ.
    """
    term = mean(softened_kl(wide(student), wide(teacher), softening))
    return term / student.shape[-1] if reduction == "classmean" else term


def cross_entropy(student: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy, a scalar; ``labels``, [B] or [B, A], are class indices."""
    return F.cross_entropy(wide(student).flatten(end_dim=-2), labels.flatten())


def logit_matching(student: Tensor, teacher: Tensor, _: Softening, reduction: str, mean: Mean = torch.mean) -> Tensor:
    """CMC: the mean of (z_s − z_t)², a scalar. A mean over batch and classes by definition, whatever the reduction."""
    return squared_distance(wide(student), wide(teacher), mean)


def softened_logit_matching(
    student: Tensor, teacher: Tensor, softening: Softening, reduction: str, mean: Mean = torch.mean
) -> Tensor:
    """CMC-τ: the mean of (z_s/τ_s − z_t/τ_t)², a scalar. Its gradient goes as 1/τ²: to tune τ is to tune a weight."""
    return squared_distance(wide(student) / softening.tau_student, wide(teacher) / softening.tau_teacher, mean)


def squared_distance(one: Tensor, other: Tensor, mean: Mean = torch.mean) -> Tensor:
    """The mean of (one − other)², a scalar, over the classes of each softmax and then by ``mean``."""
    if mean is torch.mean:
        return F.mse_loss(one, other)  # the same, but for the rounding of its gradient
    return mean((one - other).square().mean(dim=-1))


def divergence(
    student: Tensor, teacher: Tensor, softening: Softening, reduction: str, mean: Mean = torch.mean
) -> Tensor:
    """DML: the mean of KL(p_t ‖ p_s) at τ = 1, a scalar."""
    one = torch.ones_like(softening.weight)
    return hinton_distillation(student, teacher, Softening(one, one, one), reduction, mean)


def softened_divergence(
    student: Tensor, teacher: Tensor, softening: Softening, reduction: str, mean: Mean = torch.mean
) -> Tensor:
    """DML-τ: the mean of KL(q_t ‖ q_s), a scalar, without τ²: its gradient goes as 1/τ² for large τ."""
    unweighted = softening._replace(weight=torch.ones_like(softening.weight))
    return hinton_distillation(student, teacher, unweighted, reduction, mean)


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
