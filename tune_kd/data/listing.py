"""What a part of a data set holds before anything is decoded."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tune_kd.errors import InputError


class EncodedImage(NamedTuple):
    """One image file, one cell of a Parquet file, or pixels that need no decoding (uint8 [H, W], grey)."""

    name: str  # for people: "train/cat/3.png", "train.parquet row 17"
    source: Path | bytes | NDArray[np.uint8] | None  # None: a Parquet cell without bytes


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Encoded images, their labels, int64 [N], and the names of the classes that the labels count."""

    classes: tuple[str, ...]
    images: Sequence[EncodedImage]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: NDArray[np.int64]) -> Listing:
        """The part of the listing at ``indices``."""
        return Listing(
            classes=self.classes, images=[self.images[index] for index in indices], labels=self.labels[indices]
        )

    def joined(self, other: Listing) -> Listing:
        """The images of both; ``other`` has the same classes."""
        return Listing(
            classes=self.classes,
            images=[*self.images, *other.images],
            labels=np.concatenate([self.labels, other.labels]),
        )

    def relabelled(self, classes: tuple[str, ...]) -> Listing:
        """The same images with labels that count ``classes``. Raises InputError for a class that is not among them."""
        label_of = {name: label for label, name in enumerate(classes)}
        used = np.unique(self.labels)
        for name in (self.classes[label] for label in used):
            if name not in label_of:
                close = difflib.get_close_matches(name, classes, n=1)
                raise InputError(
                    f"the test set has class {name!r}, which the training set of {len(classes)} classes has not"
                    + (f"; the nearest there is {close[0]!r}" if close else "")
                )
        new_label = np.array([label_of.get(name, -1) for name in self.classes], np.int64)
        return Listing(classes=classes, images=self.images, labels=new_label[self.labels])
