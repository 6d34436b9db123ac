"""Images in torchvision's ImageFolder layout: one folder a class, image files in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tune_kd.data.listing import EncodedImage, Listing
from tune_kd.errors import InputError


def is_image_file(path: Path) -> bool:
    """Whether the file's name ends as an image's does."""
    from torchvision.datasets.folder import IMG_EXTENSIONS  # takes a second to import; Parquet sets do without

    return path.suffix.lower() in IMG_EXTENSIONS


def list_class_folders(folders: Sequence[Path], root: Path) -> Listing:
    """The images under each of ``folders``, at any depth, in order of their path; the labels count the folders.

    The names are relative to ``root``. Raises InputError where there is no image at all.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    images: list[EncodedImage] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        found = make_dataset(str(folder.parent), {folder.name: label}, extensions=IMG_EXTENSIONS, allow_empty=True)
        for path in sorted(Path(name) for name, _ in found):
            images.append(EncodedImage(path.relative_to(root).as_posix(), path))
            labels.append(label)
    if not images:
        raise InputError(f"no images ({', '.join(IMG_EXTENSIONS)}) in the class folders of {folders[0].parent}")
    return Listing(classes=tuple(folder.name for folder in folders), images=images, labels=np.array(labels, np.int64))
