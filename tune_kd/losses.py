"""Distillation losses as pure functions. Logits are [B, n]; everything is computed in float32 or wider.

Each takes a :class:`~policies.base.Softening` (τ_s, τ_t and a weight, each () or [B, 1]) and is a mean over the batch.
Sources: Hinton et al. 2015 (HKD); Rafat et al. 2023, whose text sums the KL term over classes
(``batchmean``) while its code also averages over them (``classmean``: the KL term divided by n).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from policies.base import Softening

REDUCTIONS = ("batchmean", "classmean")


def softened_kl(student: Tensor, teacher: Tensor, softening: Softening) -> Tensor:
    """weight·KL(q_t ‖ q_s) for each sample, [B], with q = softmax(z/τ)."""
    log_student = F.log_softmax(student / softening.tau_student, dim=1)
    log_teacher = F.log_softmax(teacher / softening.tau_teacher, dim=1)
    kl = F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=1)
    # A per-sample τ has a per-sample weight, which must multiply before the mean over the batch.
    return softening.weight.reshape(-1) * kl


def hkd(
    student: Tensor, teacher: Tensor, labels: Tensor, softening: Softening, alpha: Tensor | float, reduction: str
) -> Tensor:
    """Hinton's loss: α·weight·KL(q_t ‖ q_s) + (1 − α)·CE, a scalar.

    ``labels`` [B] are class indices; ``weight`` is τ² for a common τ, so that the KL gradient is flat in τ.
    Half-precision logits are widened first: in bf16 the result is off by up to 4 % at τ = 20.
    """
    student, teacher = _wide(student), _wide(teacher)
    distillation = softened_kl(student, teacher, softening).mean()
    if reduction == "classmean":
        distillation = distillation / student.shape[1]
    return alpha * distillation + (1 - alpha) * F.cross_entropy(student, labels)


LOSSES = {"hkd": hkd}


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()
