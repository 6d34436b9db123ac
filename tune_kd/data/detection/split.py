"""Seeded parts of images with boxes.

They are not stratified: an image has objects of several classes, and a seeded order of the images treats all alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tune_kd.data.detection.detection_set import DetectionSet
from tune_kd.errors import InputError

Indices = NDArray[np.int64]


def seeded_part(count: int, size: int, seed: Sequence[int]) -> tuple[Indices, Indices]:
    """(rest, part) of the indices below ``count``, each ascending; the part has ``size`` of them.

    A pure function of its arguments.
    """
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[size:]), np.sort(order[:size])


def split(count: int, *, fraction: float, seed: Sequence[int], part: str) -> tuple[Indices, Indices]:
    """(rest, part) of the indices below ``count``: the part holds ``fraction`` of them, at least one.

    Raises InputError where that leaves fewer than two for the rest: batch norm cannot train on one image.
    """
    size = max(round(fraction * count), 1)
    if count - size < 2:
        left = max(count - size, 0)
        raise InputError(f"a {part} set of {fraction:.0%} of {count} images leaves {left} of them; at least 2 needed")
    return seeded_part(count, size, seed)


def limit(count: int, size: int | None, *, seed: Sequence[int], name: str, least: int) -> Indices:
    """A part of ``size`` of the indices below ``count``; all of them if ``size`` is None or more than there are.

    Raises InputError, by the field's ``name``, for a size below ``least``.
    """
    if size is not None and size < least:
        raise InputError(f"{name} must be at least {least} images, got {size}")
    return np.arange(count) if size is None or size >= count else seeded_part(count, size, seed)[1]


def hold_out(part: DetectionSet, share: float, seed: int) -> tuple[DetectionSet, DetectionSet]:
    """``part`` in two, the second a seeded ``share`` of its images. Raises InputError if one of the two were empty."""
    size = round(share * len(part))
    if share and not 0 < size < len(part):
        raise InputError(
            f"cannot hold {share:g} of {len(part)} training images out: that is {size}, must be from 1 to "
            f"{len(part) - 1}"
        )
    first, second = seeded_part(len(part), size, (seed,))
    return part.take(first), part.take(second)
