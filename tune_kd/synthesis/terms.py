"""The terms of the losses that images are synthesised by, as pure functions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

DIFFERENCES = ((0, 1), (1, 0), (1, 1), (1, -1))  # down, right: the neighbours of a pixel, each pair once


def total_variation(images: Tensor) -> Tensor:
    """The mean absolute difference of neighbouring pixels, a scalar: the mean over the four directions.

    ``images`` are [B, C, H, W]. Source: the script of zju-vipa/CMI for DeepInversion, there without the mean.
    """
    height, width = images.shape[2:]
    means = []
    for down, right in DIFFERENCES:
        first = images[:, :, : height - down, max(0, -right) : width - max(0, right)]
        second = images[:, :, down:, max(0, right) : width - max(0, -right)]
        means.append((first - second).abs().mean())
    return torch.stack(means).mean()


def jensen_shannon(one: Tensor, other: Tensor) -> Tensor:
    """The mean Jensen-Shannon divergence of the softmaxes of two sets of logits [B, n], a scalar in [0, ln 2].

    It is ½ KL(p ‖ m) + ½ KL(q ‖ m), with m = (p + q) / 2.
    """
    logs = [F.log_softmax(logits, dim=1) for logits in (one, other)]
    middle = torch.logsumexp(torch.stack(logs), dim=0) - torch.log(torch.tensor(2.0, dtype=one.dtype))
    halves = [F.kl_div(middle, log, reduction="batchmean", log_target=True) for log in logs]
    return (halves[0] + halves[1]) / 2


def clamped_divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """What the official codes have for :func:`jensen_shannon`, a scalar: ½ KL(m ‖ p) + ½ KL(m ‖ q) at temperature 3.

    p, q and m are clamped to [0.01, 0.99]. The divergences are the other way round, and ln 2 is no bound. Source: the
    codes of NVlabs/DeepInversion and zju-vipa/CMI, as described; none of them is copied.
    """
    p, q = (F.softmax(logits / 3, dim=1) for logits in (teacher, student))
    p, q, m = (values.clamp(0.01, 0.99) for values in (p, q, (p + q) / 2))
    return (F.kl_div(p.log(), m, reduction="batchmean") + F.kl_div(q.log(), m, reduction="batchmean")) / 2


def disagreement(teacher: Tensor, student: Tensor) -> Tensor:
    """KL(p_t ‖ p_s) of the images that both name alike, a scalar: the mean over the batch, the others as 0.

    Logits are [B, n]. Source: the adversarial term of CMI (Fang et al. 2021), which is its negative.
    """
    alike = (teacher.argmax(dim=1) == student.argmax(dim=1)).to(teacher.dtype)
    said, right = (F.log_softmax(logits, dim=1) for logits in (student, teacher))
    return (alike * F.kl_div(said, right, reduction="none", log_target=True).sum(dim=1)).mean()


def contrastive(one: Tensor, other: Tensor, temperature: float, batch: int) -> Tensor:
    """How badly each image's two views find each other among all views, a scalar: InfoNCE (van den Oord et al. 2018).

    ``one`` and ``other`` are the views' embeddings, [N, d] of length 1; the first ``batch`` rows are those of the
    images that are being made, the others those of the bank. Rows of both kinds are averaged apart and added
    (Fang et al. 2021).
    """
    found = F.cross_entropy(one @ other.T / temperature, torch.arange(len(one), device=one.device), reduction="none")
    rest = found[batch:]
    return found[:batch].mean() + (rest.mean() if len(rest) else 0.0)
