"""Images and labels in memory: one part (:class:`ImageSet`) and the whole (:class:`ImageData`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tune_kd.errors import InputError

Channels = tuple[float, ...]  # a value for each channel, in 0..1

_IMAGES_PER_HISTOGRAM = 4096  # bounds the int64 copy that numpy.bincount makes of its input


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Square images, uint8 [N, channels, size, size], and their labels, int64 [N]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        shape = self.images.shape
        if self.images.dtype != np.uint8 or len(shape) != 4 or shape[2] != shape[3]:
            raise ValueError(f"images must be uint8 [N, C, size, size], got {self.images.dtype} {list(shape)}")
        if self.labels.dtype != np.int64 or self.labels.shape != shape[:1]:
            raise ValueError(f"labels must be int64 [{shape[0]}], got {self.labels.dtype} {list(self.labels.shape)}")

    def __len__(self) -> int:
        return len(self.labels)

    def channel_statistics(self) -> tuple[Channels, Channels]:
        """Mean and standard deviation of each channel, in 0..1. Exact: from the histogram of the 256 values."""
        values = np.arange(256) / 255
        means, deviations = [], []
        for channel in range(self.images.shape[1]):
            histogram = np.zeros(256, np.int64)
            for start in range(0, len(self), _IMAGES_PER_HISTOGRAM):
                chunk = self.images[start : start + _IMAGES_PER_HISTOGRAM, channel]
                histogram += np.bincount(chunk.ravel(), minlength=256)
            mean = float(np.average(values, weights=histogram))
            deviation = float(np.sqrt(np.average((values - mean) ** 2, weights=histogram)))
            means.append(mean)
            deviations.append(deviation or 1.0)  # a constant channel is centred, never divided by zero
        return tuple(means), tuple(deviations)


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """A data set in three parts that share no image. ``train`` trains, ``validation`` chooses, ``test`` reports."""

    name: str
    classes: tuple[str, ...]  # classes[label] is the label's name
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    skipped_images: int = 0  # undecodable, left out on request
    left_out: Mapping[str, int] = field(default_factory=dict)  # number of files that are no images, by kind
    test_from: str = ""  # which images are the test set, for people
    notes: tuple[str, ...] = ()  # further remarks on the data set, a line each
    normalisation: tuple[Channels, Channels] | None = None  # mean and std; None: measured on the training part

    def __post_init__(self) -> None:
        if self.normalisation and len(self.normalisation[0]) != self.channels:
            given = len(self.normalisation[0])
            raise InputError(f"normalisation is for {given} channels, the images of {self.name!r} have {self.channels}")

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return self.train.images.shape[1]

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return self.train.images.shape[2]

    @property
    def mean(self) -> Channels:
        """The mean that is subtracted from each channel: the given one, else that of the training part."""
        return self._normalisation[0]

    @property
    def std(self) -> Channels:
        """The standard deviation that each channel is divided by: the given one, else that of the training part."""
        return self._normalisation[1]

    @cached_property
    def _normalisation(self) -> tuple[Channels, Channels]:
        return self.normalisation or self.train.channel_statistics()

    @cached_property
    def split_sha256(self) -> str:
        """SHA-256 of the pixels and labels of the three parts in order: equal exactly when the data is equal."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            digest.update(repr(part.images.shape).encode())
            digest.update(np.ascontiguousarray(part.images).data)
            digest.update(np.ascontiguousarray(part.labels, dtype="<i8").data)
        return digest.hexdigest()
