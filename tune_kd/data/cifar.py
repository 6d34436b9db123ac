"""CIFAR-10 and CIFAR-100 as torchvision downloads, checks and reads them (Krizhevsky 2009)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import check_integrity

from tune_kd.data.listing import EncodedImage, Listing
from tune_kd.errors import InputError


class Cifar:
    """One of torchvision's two classes: its addresses, checksums and file format."""

    def __init__(self, kind: type[CIFAR10]) -> None:
        self.kind = kind
        self.url: str = kind.url
        self.folder: str = kind.base_folder

    def download(self, into: Path) -> None:
        """By torchvision, which raises RuntimeError for a wrong checksum, OSError without an answer."""
        self.kind(into, download=True)

    def read(self, root: Path) -> tuple[Listing, Listing]:
        """The training and the test set in ``root``. Raises InputError, naming the file that is missing or damaged."""
        self._check(root)
        train, test = (self._list(self.kind(root, train=part), part) for part in (True, False))
        return train, test

    def _check(self, root: Path) -> None:
        meta = (self.kind.meta["filename"], self.kind.meta["md5"])
        for name, md5 in (*self.kind.train_list, *self.kind.test_list, meta):
            file = root / self.folder / name
            if not check_integrity(file, md5):
                problem = "has a wrong checksum" if file.is_file() else "is missing"
                raise InputError(f"{file} {problem}")

    def _list(self, read: CIFAR10, train: bool) -> Listing:
        part = "train" if train else "test"
        return Listing(
            classes=tuple(read.classes),
            images=[EncodedImage(f"{part} {row}", pixels) for row, pixels in enumerate(read.data)],
            labels=np.array(read.targets, np.int64),
        )
