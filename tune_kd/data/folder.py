"""Images in torchvision's ImageFolder layout: one folder a class, image files in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tune_kd.data.listing import EncodedImage, Listing
from tune_kd.data.names import one_spelling
from tune_kd.data.tree import files_below, image_endings, is_image_file, is_table
from tune_kd.errors import InputError

LINK_ABOVE = "link to a folder above"


def list_class_folders(folders: Sequence[Path], root: Path) -> Listing:
    """The images under each of ``folders``, at any depth, in order of their path; the labels count the folders.

    Two folders whose names differ in how accents are written are one class. The images' names are relative to
    ``root``. What is no image is counted by its ending. Raises InputError where there is no image at all, for a class
    of none but unreadable formats, and for Parquet files, which are no class's images.
    """
    classes = list(dict.fromkeys(one_spelling(folder.name) for folder in folders))
    images: list[EncodedImage] = []
    labels: list[int] = []
    left_out: Counter[str] = Counter()
    for folder in folders:
        found, others = _images_of(folder)
        images += [EncodedImage(path.relative_to(root).as_posix(), path) for path in found]
        labels += [classes.index(one_spelling(folder.name))] * len(found)
        left_out += others
    if not images:
        raise InputError(f"no images ({', '.join(image_endings())}) in the class folders of {folders[0].parent}")
    return Listing(classes=tuple(classes), images=images, labels=np.array(labels, np.int64), left_out=left_out)


def _images_of(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The images in a class folder, and by what it is how much of what else."""
    found: list[Path] = []
    others: Counter[str] = Counter()
    for path in files_below(folder):
        if is_table(path):
            raise InputError(f"{path.name} lies in what would be the class {folder.name!r}; give {path.parent} instead")
        if is_image_file(path):
            found.append(path)
        else:
            others[LINK_ABOVE if path.is_dir() else path.suffix.lower() or "file without an ending"] += 1
    if others and not found:
        what = ", ".join(f"{count} × {kind}" for kind, count in others.items())
        raise InputError(
            f"class {folder.name!r} has no image that can be read, but {what}; "
            f"its images must end in {', '.join(image_endings())}"
        )
    return found, others
