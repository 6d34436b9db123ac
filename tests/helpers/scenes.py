"""Random objects on default boxes, and what a detector might say of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tune_kd.data.detection.objects import Objects
from tune_kd.models.detectors import default_boxes

SIZE, CLASSES = 64, 5


class Scene(NamedTuple):
    """A batch of three images: with objects, with none, with a difficult one among them."""

    objects: Objects
    boxes: Tensor  # [A, 4]
    logits: Tensor  # float64 [3, A, n]
    regressions: Tensor  # float64 [3, A, 4]


def scene(seed: int = 0) -> Scene:
    generator = torch.Generator().manual_seed(seed)
    boxes = default_boxes("ssd-small", classes=CLASSES, image_size=SIZE)

    def some(count: int) -> Tensor:
        corners = torch.rand(count, 2, generator=generator) * 30
        return torch.cat([corners, corners + 10 + 22 * torch.rand(count, 2, generator=generator)], dim=1)

    counts = (2, 0, 3)
    objects = Objects(
        boxes=tuple(some(count) for count in counts),
        labels=tuple(torch.randint(1, CLASSES, (count,), generator=generator) for count in counts),
        difficult=(torch.zeros(2, dtype=torch.bool), torch.zeros(0, dtype=torch.bool), torch.tensor([0, 1, 0]).bool()),
    )

    def said(last: int) -> Tensor:
        return torch.randn(3, len(boxes), last, dtype=torch.float64, generator=generator)

    return Scene(objects, boxes, said(CLASSES), said(4))
