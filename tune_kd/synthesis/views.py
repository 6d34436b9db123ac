"""Views of synthesised images, drawn anew for every step. Gradients pass through them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tune_kd.data.batches import crop, flip


def shifted(images: Tensor, share: float, mirrored: bool) -> Tensor:
    """All ``images`` [B, C, H, W] rolled alike, by at most ``share`` of a side, and half of the times mirrored."""
    furthest = [int(share * side) for side in images.shape[2:]]
    offsets = [int(torch.randint(-most, most + 1, ())) for most in furthest]
    rolled = torch.roll(images, offsets, dims=(2, 3))
    return rolled.flip(3) if mirrored and torch.rand(()) < 0.5 else rolled


def global_view(images: Tensor, share: float, mirrored: bool) -> Tensor:
    """Of each of ``images`` [B, C, H, W] nearly all: padded by a ``share`` of its side, cropped to its size again."""
    padding = int(share * images.shape[2])
    top, left = torch.randint(2 * padding + 1, (2, len(images)), device=images.device)
    seen = crop(images, top, left, padding)
    return _mirrored(seen) if mirrored else seen


def local_view(images: Tensor, smallest: float, mirrored: bool) -> Tensor:
    """Of each of ``images`` [B, C, H, W] a square of a share of its area in [``smallest``, 1], at its whole size."""
    count = len(images)
    side = torch.empty(count, device=images.device).uniform_(smallest, 1).sqrt()
    place = (2 * torch.rand(2, count, device=images.device) - 1) * (1 - side)
    zero = torch.zeros_like(side)
    rows = torch.stack([side, zero, place[0], zero, side, place[1]], dim=1)
    grid = F.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    seen = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return _mirrored(seen) if mirrored else seen


def _mirrored(images: Tensor) -> Tensor:
    return flip(images, torch.rand(len(images), device=images.device) < 0.5)
