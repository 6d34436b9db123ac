"""The images as a trial sees them: without the test set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tune_kd.data import ImageData, ImageSet


def for_trials(data: ImageData) -> ImageData:
    """``data`` as every trial gets it: what pixels are normalised by is measured here, once.

    The test images are left out: what trials cannot see they cannot choose by.
    """
    return replace(data, test=without_images(data.test), normalisation=(data.mean, data.std))


def without_images(part: ImageSet) -> ImageSet:
    """The same kind of set with nothing in it."""
    return ImageSet(images=part.images[:0].copy(), labels=np.empty(0, dtype=np.int64))
