"""How far a classifier's confidence is its accuracy: what a reliability diagram shows, and one number of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Bins of equal width between 0 and 1, as Guo et al. (ICML 2017) have them; a confidence on an edge is in the lower."""


def calibration(right: NDArray[np.bool_], confidences: NDArray[np.floating]) -> dict[str, Any]:
    """The columns ``reliability`` and ``ece`` of the ``trials`` table.

    ``right`` says of each image, [N], whether it was named rightly, ``confidences`` [N] how probable its answer was. An
    image whose confidence is not finite is left out. The expected calibration error is the mean over images of the
    distance between accuracy and mean confidence of their bin; None without an image.
    """
    known = np.isfinite(confidences)
    sure, hits = np.asarray(confidences, dtype=float)[known], right[known]
    bins = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
    images = np.bincount(bins, minlength=BINS)
    hit, confidence = (np.bincount(bins, weights=values, minlength=BINS) for values in (hits, sure))
    some = np.maximum(images, 1)
    return {
        "ece": float(np.abs(hit - confidence).sum() / len(sure)) if len(sure) else None,
        "reliability": [
            {"images": int(n), "accuracy": float(a), "confidence": float(c)} if n else {"images": 0}
            for n, a, c in zip(images, hit / some, confidence / some, strict=True)
        ],
    }
