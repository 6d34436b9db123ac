"""The encoded images and labels of a part of a data set, before decoding."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tune_kd.errors import InputError

_NAMED = 3  # of many classes, so many are named


class EncodedImage(NamedTuple):
    """One image file, one cell of a Parquet file, or pixels that need no decoding (uint8 [H, W], grey)."""

    name: str  # for people: "train/cat/3.png", "train.parquet row 17"
    source: Path | bytes | NDArray[np.uint8] | None  # None: a Parquet cell without bytes


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Encoded images, their labels, int64 [N], and the names of the classes that the labels count.

    ``left_out`` is the number of files beside them that are no images, by kind (``.heic``). ``notes`` are further
    remarks.
    """

    classes: tuple[str, ...]
    images: Sequence[EncodedImage]
    labels: NDArray[np.int64]
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

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
        """The same images with labels that count ``classes``.

        Raises InputError for a class that is not among them, or is among them twice.
        """
        if self.classes == classes:
            return self
        twice = [name for name in classes if classes.count(name) > 1]
        if twice:
            raise InputError(f"two classes are called {twice[0]!r}, so that the test set's cannot be told apart")
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
        return replace(self, classes=classes, labels=new_label[self.labels])

    def without_empty_classes(self) -> Listing:
        """The same images, their labels counting only the classes that have one, the others noted."""
        used = np.unique(self.labels)
        if len(used) == len(self.classes):
            return self
        empty = [name for label, name in enumerate(self.classes) if label not in set(used.tolist())]
        names = ", ".join(map(repr, empty[:_NAMED])) + (f" and {len(empty) - _NAMED} more" if empty[_NAMED:] else "")
        return replace(
            self,
            classes=tuple(self.classes[label] for label in used),
            labels=np.searchsorted(used, self.labels),
            notes=(*self.notes, f"no training image has the class {names}: {len(used)} classes are left"),
        )


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set before decoding, and remarks on it."""

    train: Listing
    test: Listing | None = None  # None: it has no test set of its own
    test_from: str = ""  # the folder or files of the test set, for people
    is_parquet: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)  # number of files that are no images, by kind
    notes: tuple[str, ...] = ()
