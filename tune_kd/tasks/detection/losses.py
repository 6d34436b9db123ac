"""The losses of SSD (Liu et al. 2016), and what of a batch's boxes is distilled.

N is the number of positives of the batch, boxes that belong to an object, and 1 where there is none. Sums over boxes
are divided by N, as SSD does it, but for those over all boxes. The task's own loss is that of torchvision's
``SSD.compute_loss`` wherever an image has three negatives for each positive. Where it has fewer, torchvision counts
some positives twice; here none is.

How distillation goes together with it is this project's choice; Chen et al. 2017 and the code that the paper names have
other terms. Each existing loss is taken of every chosen box's softmax, summed and divided by N.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from tune_kd.losses import Mean, wide

NEGATIVES = 3  # that are mined for each positive of the same image
BOUNDED_WEIGHT = 0.5  # ν of Chen et al.

Choice = Literal["mined", "positives", "all"]


def positives(classes: Tensor) -> Tensor:
    """N, a scalar, of ``classes``, int64 [B, A]."""
    return (classes > 0).sum().clamp(min=1)


def mined(cross_entropies: Tensor, classes: Tensor) -> Tensor:
    """The positives and, in each image, the negatives with the largest cross-entropies, bool [B, A].

    ``cross_entropies`` and ``classes`` are [B, A]. There are three negatives for each positive of the image.
    """
    positive = classes > 0
    hardest = cross_entropies.masked_fill(positive, -torch.inf).argsort(dim=1, descending=True)
    ranks = torch.arange(hardest.shape[1], device=hardest.device).expand_as(hardest)
    rank = torch.empty_like(hardest).scatter_(1, hardest, ranks)
    return positive | (rank < NEGATIVES * positive.sum(dim=1, keepdim=True))


def class_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """The cross-entropy summed over mined boxes / N, a scalar, of logits [B, A, n] and ``classes``, int64 [B, A]."""
    each = cross_entropies(logits, classes)
    return _summed(each, mined(each.detach(), classes)) / positives(classes)


def box_loss(regressions: Tensor, targets: Tensor, classes: Tensor) -> Tensor:
    """The smooth L1 distance summed over positives / N, a scalar. Regressions and their targets are [B, A, 4]."""
    each = F.smooth_l1_loss(wide(regressions), targets, reduction="none").sum(dim=-1)
    return _summed(each, classes > 0) / positives(classes)


def bounded_box_loss(student: Tensor, teacher: Tensor, targets: Tensor, classes: Tensor) -> Tensor:
    """The bounded regression of Chen et al. summed over positives / N, a scalar; all but ``classes`` are [B, A, 4].

    ν‖R_s − y‖² of the boxes where the student is farther from the target y than the teacher, ν = 0.5, without a margin.
    """
    of_student, of_teacher = ((wide(one) - targets).square().sum(dim=-1) for one in (student, teacher))
    worse = (classes > 0) & (of_student > of_teacher)
    return BOUNDED_WEIGHT * _summed(of_student, worse) / positives(classes)


def mean_over(choice: Choice, logits: Tensor, classes: Tensor, background_weight: float) -> Mean:
    """How a value of each softmax, [B, A], becomes a scalar.

    It is summed over the chosen boxes and divided by N. With ``all`` nearly every box is background: the sum is divided
    by the number of boxes then. ``logits``, the student's, say which negatives are mined. Boxes without an object have
    the weight ``background_weight``.
    """
    positive, count = classes > 0, positives(classes)
    weights = torch.where(positive, 1.0, background_weight)
    if choice == "mined":
        chosen = mined(cross_entropies(logits.detach(), classes), classes)
    elif choice == "positives":
        chosen = positive
    else:
        chosen, count = torch.ones_like(positive), torch.full_like(count, classes.numel())

    def mean(each: Tensor) -> Tensor:
        return _summed(weights * each, chosen) / count

    return mean


def cross_entropies(logits: Tensor, classes: Tensor) -> Tensor:
    """The cross-entropy of every box, [B, A]."""
    each = F.cross_entropy(wide(logits).flatten(end_dim=1), classes.flatten(), reduction="none")
    return each.view_as(classes)


def _summed(each: Tensor, chosen: Tensor) -> Tensor:
    """The sum over chosen boxes. A choice by ``where`` waits for no device, as one by index would."""
    return torch.where(chosen, each, 0).sum()
