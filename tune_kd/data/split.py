"""Seeded, stratified parts of a list of labels.

Not scikit-learn's ``train_test_split``: it refuses to leave out fewer images than there are classes (a ``train_limit``
just below the whole set), and it may leave a small class out of a part silently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tune_kd.data import ImageSet
from tune_kd.data.listing import Listing
from tune_kd.errors import InputError

Indices = NDArray[np.int64]


def check_loading(image_size: int | None, validation_fraction: float, split_seed: int) -> None:
    """See that data can be read and split so, whatever they are of. Raises InputError."""
    if image_size is not None and image_size < 1:
        raise InputError(f"image_size must be > 0 pixels, got {image_size}")
    if not 0 < validation_fraction < 1:
        raise InputError(f"validation_fraction must be between 0 and 1, both excluded, got {validation_fraction}")
    if split_seed < 0:
        raise InputError(f"split_seed must be ≥ 0, got {split_seed}")


def stratified_part(labels: NDArray[np.int64], size: int, seed: Sequence[int]) -> Indices:
    """``size`` indices into ``labels``, ascending, each class in its share (largest remainders round up).

    A pure function of its arguments.
    """
    classes, counts = np.unique(labels, return_counts=True)
    share = counts * size / len(labels)
    quota = np.floor(share).astype(np.int64)
    remainder_order = np.argsort(quota - share, kind="stable")
    quota[remainder_order[: size - int(quota.sum())]] += 1
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(labels == label))[:n] for label, n in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def split(listing: Listing, *, fraction: float, seed: Sequence[int], part: str) -> tuple[Indices, Indices]:
    """Indices (rest, part): the part holds ``fraction`` of ``listing``, and at least one image of every class.

    Raises InputError for a class that is too small to be in both.
    """
    size = max(round(fraction * len(listing)), len(listing.classes))
    rest_size = max(len(listing) - size, 1)
    needed = max(math.ceil(len(listing) / size), math.ceil(len(listing) / rest_size), 2)
    counts = np.bincount(listing.labels, minlength=len(listing.classes))
    smallest = int(counts.argmin())
    if counts[smallest] < needed:
        raise InputError(
            f"class {listing.classes[smallest]!r} has too few images to split off a {part} set of {fraction:.0%}: "
            f"{counts[smallest]} there, at least {needed} needed"
        )
    chosen = stratified_part(listing.labels, size, seed)
    return np.setdiff1d(np.arange(len(listing)), chosen), chosen


def limit(listing: Listing, size: int | None, *, seed: Sequence[int], name: str, per_class: int) -> Indices:
    """Indices of a stratified part of ``size`` images; all of them if ``size`` is None or more than there are.

    Raises InputError, by the field's ``name``, for fewer than ``per_class`` images a class.
    """
    classes = len(listing.classes)
    needed = per_class * classes
    if size is not None and size < needed:
        each = f"{per_class} image{'s' if per_class > 1 else ''}"
        raise InputError(f"{name} must be at least {needed} ({each} for each of {classes} classes), got {size}")
    if size is None or size >= len(listing):
        return np.arange(len(listing))
    return stratified_part(listing.labels, size, seed)


def hold_out(images: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """``images`` in two parts, the second a seeded ``share`` of them in which each class keeps its proportion.

    Raises InputError if there are too few images for one of each class in both parts.
    """
    if share == 0:
        return images, ImageSet(images=images.images[:0], labels=images.labels[:0])
    from sklearn.model_selection import train_test_split  # only for the few policies that hold something out

    everything = np.arange(len(images))
    try:
        parts = train_test_split(everything, test_size=share, random_state=seed, stratify=images.labels)
    except ValueError as error:
        raise InputError(f"cannot hold {share:g} of {len(images)} training images out: {error}") from error
    first, second = (ImageSet(images=images.images[part], labels=images.labels[part]) for part in map(np.sort, parts))
    return first, second
