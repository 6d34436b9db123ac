"""The labels of a batch in object detection."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Objects(NamedTuple):
    """The labelled objects of a batch of images, one tensor per image."""

    boxes: tuple[Tensor, ...]  # float32 [k, 4]: x1, y1, x2, y2 in pixels of the network's input
    labels: tuple[Tensor, ...]  # int64 [k]: 1..n-1; 0 is the background
    difficult: tuple[Tensor, ...]  # bool [k]: not trained on, and ignored by the evaluation
