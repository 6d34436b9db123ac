"""Scores of a detector: mAP, and the figures of a test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tune_kd.tasks.detection.average_precision import Curve

SCORE_THRESHOLD = 0.5
"""The probability from which on a detection counts in the precision and the recall of a class."""


def mean_average_precision(curves: Sequence[Curve]) -> float:
    """mAP by the area under the curves, a fraction: the mean over the classes of which there is an object; or NaN."""
    return _mean([curve.area for curve in curves])


def figures_of_test(curves: Sequence[Curve], classes: Sequence[str]) -> dict[str, Any]:
    """The columns of ``trials`` that a test fills. ``classes`` are named without the background.

    What has no column is in ``metrics``: mAP by both definitions, and for each class its average precision by both,
    and precision and recall of the detections with a probability of at least 0.5. None stands for a class without an
    object that is not difficult.
    """
    at = [curve.at(SCORE_THRESHOLD) for curve in curves]
    return {
        "test_score": mean_average_precision(curves),
        "metrics": {
            "mAP_area": mean_average_precision(curves),
            "mAP_11_points": _mean([curve.eleven_points for curve in curves]),
            "score_threshold": SCORE_THRESHOLD,
            "per_class": {
                name: {
                    "objects": curve.positives,
                    "AP_area": _known(curve.area),
                    "AP_11_points": _known(curve.eleven_points),
                    "precision": _known(precision if curve.positives else math.nan),
                    "recall": _known(recall),
                }
                for name, curve, (precision, recall) in zip(classes, curves, at, strict=True)
            },
        },
    }


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
