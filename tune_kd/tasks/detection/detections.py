"""What a detector finds in images, and what is there, as plain arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tune_kd.data.detection.objects import Objects
from tune_kd.tasks.detection.parts import ssd


class Detections(NamedTuple):
    """D detections in all images, in any order."""

    image: NDArray[np.int64]  # [D], the image's index
    boxes: NDArray[np.float32]  # [D, 4]: x1, y1, x2, y2 in pixels
    labels: NDArray[np.int64]  # [D]: 1..n-1
    scores: NDArray[np.float32]  # [D], the probability of the label


class Truth(NamedTuple):
    """M labelled objects of all images, in any order."""

    image: NDArray[np.int64]  # [M], the image's index
    boxes: NDArray[np.float32]  # [M, 4]
    labels: NDArray[np.int64]  # [M]: 1..n-1
    difficult: NDArray[np.bool_]  # [M]


def detect(logits: Tensor, regressions: Tensor, boxes: Tensor, image_size: int, first: int = 0) -> Detections:
    """What torchvision's SSD makes of logits [B, A, n] and regressions [B, A, 4] of default ``boxes``, [A, 4].

    Of boxes with a probability of a class above 0.01, those remain that overlap none of the same class and a higher
    probability by an IoU above 0.45, at most 200 an image. ``first`` is the index of the batch's first image. An image
    whose outputs are not finite has no detections.
    """
    finite = logits.isfinite().all(dim=(1, 2)) & regressions.isfinite().all(dim=(1, 2))
    broken = ~finite[:, None, None]
    outputs = {  # a probability that is not a number is above nothing
        "cls_logits": logits.float().masked_fill(broken, torch.nan),
        "bbox_regression": regressions.float().masked_fill(broken, 0),
    }
    sizes = [(image_size, image_size)] * len(logits)
    found = ssd().postprocess_detections(outputs, [boxes] * len(logits), sizes)
    part = {name: _array(torch.cat([image[name] for image in found])) for name in ("boxes", "labels", "scores")}
    counts = [len(image["labels"]) for image in found]
    return Detections(image=np.repeat(np.arange(first, first + len(counts)), counts), **part)


def truth(objects: Objects, first: int = 0) -> Truth:
    """The objects of a batch, whose first image has the index ``first``."""
    counts = [len(labels) for labels in objects.labels]
    boxes, labels, difficult = (_array(torch.cat(part)) for part in objects)
    return Truth(np.repeat(np.arange(first, first + len(counts)), counts), boxes, labels, difficult)


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
