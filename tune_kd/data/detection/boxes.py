"""Boxes held against the image that they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tune_kd.data.detection.annotated import LabelledBox

_TOLERATED = 1e-3  # pixels by which float32 coordinates may reach over the edge unnoticed


class Fitted(NamedTuple):
    """Boxes, float32 [k, 4], cut at the edges of their image, how many were; or ``fault``, why one cannot be used."""

    boxes: NDArray[np.float32]
    cut: int = 0
    fault: str = ""


def fit(objects: Sequence[LabelledBox], width: int, height: int) -> Fitted:
    """The objects' boxes in an image of ``width`` × ``height`` pixels.

    A box that reaches over an edge is cut there: tools disagree by a pixel on where an image ends. A box of no area, or
    wholly outside, is a fault.
    """
    given = np.array([labelled.box for labelled in objects], np.float64).reshape(-1, 4)
    boxes = given.clip(0, [width, height, width, height]).astype(np.float32)
    for labelled, inside in zip(objects, boxes, strict=True):
        if not _has_area(inside):
            what = f"lies outside its image of {width}×{height} pixels" if _has_area(labelled.box) else "has no area"
            fault = f"the box of a {labelled.name}, {_shown(labelled)}, {what}"
            return Fitted(np.empty((0, 4), np.float32), fault=fault)
    return Fitted(boxes, cut=int((np.abs(boxes - given) > _TOLERATED).any(axis=1).sum()))


def _has_area(box: Sequence[float] | NDArray[np.float32]) -> bool:
    left, top, right, bottom = box
    return bool(left < right and top < bottom)


def _shown(labelled: LabelledBox) -> str:
    """As an annotation has it: counted from 1, the last pixel included."""
    left, top, right, bottom = labelled.box
    return f"xmin {left + 1:g}, ymin {top + 1:g}, xmax {right:g}, ymax {bottom:g}"
