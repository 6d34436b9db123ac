"""Tiny ImageNet (Stanford CS231N): 200 classes of ImageNet at 64×64 pixels, named by their WordNet ids.

Its test images have no labels, so its labelled validation images are the test set.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tune_kd.data.folder import list_class_folders
from tune_kd.data.listing import EncodedImage, Listing
from tune_kd.errors import InputError

_CLASSES = Path("wnids.txt")
_LABELS = Path("val", "val_annotations.txt")


@dataclass(frozen=True, kw_only=True)
class TinyImageNet:
    """``tiny-imagenet-200``: its address, and how many images a whole copy has."""

    url: str = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    md5: str = "90528d7ca1a48142e341f4ef8d21d0de"
    folder: str = "tiny-imagenet-200"
    train_per_class: int = 500
    test_per_class: int = 50

    def download(self, into: Path) -> None:
        """Raises RuntimeError for a wrong checksum, OSError without an answer."""
        from torchvision.datasets.utils import download_and_extract_archive

        download_and_extract_archive(self.url, str(into), md5=self.md5, remove_finished=True)

    def read(self, root: Path) -> tuple[Listing, Listing]:
        """The training and the labelled validation images in ``root``. Raises InputError for a copy with too few."""
        folder = root / self.folder
        train, test = list_tiny_imagenet(folder)
        for part, listing, whole in (("train", train, self.train_per_class), ("val", test, self.test_per_class)):
            counts = np.bincount(listing.labels, minlength=len(listing.classes))
            if (counts != whole).any():
                wrong = int((counts != whole).argmax())
                found = f"{counts[wrong]} images of class {listing.classes[wrong]!r}"
                raise InputError(f"{folder / part} has {found}, a whole copy {whole}")
        return train, test


def has_its_layout(folder: Path) -> bool:
    """Whether ``folder`` is laid out as ``tiny-imagenet-200`` is, whole or not."""
    return all((folder / file).is_file() for file in (_CLASSES, _LABELS))


def list_tiny_imagenet(folder: Path) -> tuple[Listing, Listing]:
    """The training and the labelled validation images in ``folder``. Raises InputError for unreadable files."""
    try:
        classes = _classes(folder / _CLASSES)
        train = list_class_folders([folder / "train" / wnid for wnid in classes], folder)
        return train, _annotated(folder, tuple(classes))
    except OSError as error:
        raise InputError(f"{error.filename} is missing or cannot be read") from error


def _classes(file: Path) -> list[str]:
    classes = sorted(_text(file).split())
    if not classes:
        raise InputError(f"{file} has no class; it must have one WordNet id a line")
    return classes


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is damaged: it is not UTF-8 text") from error


def _annotated(folder: Path, classes: tuple[str, ...]) -> Listing:
    """The images in ``val``, whose classes are in a table beside them: file, class and a box, tabs between."""
    table = folder / _LABELS
    label_of = {wnid: label for label, wnid in enumerate(classes)}
    images: list[EncodedImage] = []
    labels: list[int] = []
    for line in _text(table).splitlines():
        file, wnid, *_ = (*line.split("\t"), "")
        if wnid not in label_of:
            raise InputError(f"{table} has the line {line!r}, whose class is not in wnids.txt")
        path = table.parent / "images" / file
        images.append(EncodedImage(path.relative_to(folder).as_posix(), path))
        labels.append(label_of[wnid])
    if not images:
        raise InputError(f"{table} has no image; it must have one a line")
    return Listing(classes=classes, images=images, labels=np.array(labels, np.int64))
