"""Average precision as PASCAL VOC defines it, at an IoU of 0.5.

A detection belongs to the object of its image and class with which its IoU is largest, a difficult one included. Below
0.5 it is false. On a difficult object it is ignored, however often. On another one the detection with the highest score
is true and each further one false. Difficult objects are no positives. No library judges difficult objects like that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tune_kd.tasks.detection.detections import Detections, Truth

OVERLAP = 0.5
RECALLS = np.arange(11) / 10  # np.arange(0, 1.1, 0.1) holds .30000000000000004

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """Detections of a class by falling score: how precision and recall go; ``positives`` objects are to be found."""

    scores: Floats  # [K], ignored detections left out
    precision: Floats  # [K], after each detection
    recall: Floats  # [K]; NaN where there is no positive
    positives: int

    @property
    def area(self) -> float:
        """The area under the envelope of the curve; NaN where there is no positive."""
        if not self.positives:
            return np.nan
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float((np.diff(self.recall, prepend=0) * envelope).sum())

    @property
    def eleven_points(self) -> float:
        """The mean over recalls 0, 0.1, … 1 of the best precision at such a recall or more, as in VOC2007; or NaN."""
        if not self.positives:
            return np.nan
        return float(np.mean([self.precision[self.recall >= least].max(initial=0) for least in RECALLS]))

    def at(self, score: float) -> tuple[float, float]:
        """Precision and recall of the detections of at least that score; a precision of 0 where there are none."""
        kept = int((self.scores >= score).sum())
        if not self.positives:
            return (0.0, np.nan)
        return (float(self.precision[kept - 1]), float(self.recall[kept - 1])) if kept else (0.0, 0.0)


def curves(found: Detections, there: Truth, classes: int) -> list[Curve]:
    """The curve of each label, 1 to ``classes``."""
    best, overlap = _best_objects(found, there)
    hit = overlap >= OVERLAP
    difficult = np.zeros_like(hit)
    difficult[hit] = there.difficult[best[hit]]
    order = np.argsort(-found.scores, kind="stable")
    order = order[~difficult[order]]
    on = np.where(hit, best, -1)[order]
    first = np.zeros(len(order), dtype=bool)
    first[np.unique(on, return_index=True)[1]] = True
    true, labels, scores = first & (on >= 0), found.labels[order], found.scores[order].astype(np.float64)
    positives = np.bincount(there.labels[~there.difficult], minlength=classes + 1)
    return [_curve(true[labels == label], scores[labels == label], int(positives[label])) for label in _labels(classes)]


def _labels(classes: int) -> range:
    return range(1, classes + 1)


def _curve(true: NDArray[np.bool_], scores: Floats, positives: int) -> Curve:
    hits = true.cumsum()
    recall = hits / positives if positives else np.full(len(hits), np.nan)
    return Curve(scores, hits / np.arange(1, len(hits) + 1), recall, positives)


def _best_objects(found: Detections, there: Truth) -> tuple[NDArray[np.int64], Floats]:
    """For each detection the object of its image and class that it overlaps most, and their IoU; −1 where none is."""
    from torchvision.ops import box_iou  # a second of imports

    best, overlap = np.full(len(found.labels), -1), np.full(len(found.labels), -1.0)
    rows, objects = _by_image(found.image), _by_image(there.image)
    for image in rows.keys() & objects.keys():
        row, those = rows[image], objects[image]
        ious = box_iou(torch.from_numpy(found.boxes[row]), torch.from_numpy(there.boxes[those])).numpy()
        ious = np.where(found.labels[row][:, None] == there.labels[those], ious, -1)
        best[row], overlap[row] = those[ious.argmax(axis=1)], ious.max(axis=1)
    return best, overlap


def _by_image(image: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """The rows of each image."""
    order = np.argsort(image, kind="stable")
    images, starts = np.unique(image[order], return_index=True)
    return dict(zip(images.tolist(), np.split(order, starts)[1:], strict=True))
