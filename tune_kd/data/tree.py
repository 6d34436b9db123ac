"""A data folder's tree as the layouts see it: without hidden names, and without links back to a folder above."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tune_kd.data.names import is_hidden, one_spelling
from tune_kd.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Level:
    """The entries directly in a folder, each in order of name."""

    folder: Path
    folders: list[Path]
    images: list[Path]
    tables: list[Path]  # Parquet files
    others: list[Path]

    @property
    def is_empty(self) -> bool:
        """Whether it has no entries."""
        return not (self.folders or self.images or self.tables or self.others)


def look(folder: Path) -> Level:
    """The entries directly in ``folder``. Raises InputError for one that cannot be read."""
    level = Level(folder=folder, folders=[], images=[], tables=[], others=[])
    for path in _visible(folder):
        if path.is_dir():
            if not _leads_above(path, (folder.resolve(),)):
                level.folders.append(path)
        elif is_table(path):
            level.tables.append(path)
        elif is_image_file(path):
            level.images.append(path)
        else:
            level.others.append(path)
    return level


def files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The files in ``folder`` at any depth, in order of their paths; none if there is no such folder.

    Links to folders are followed. A link to a folder above itself is not: it is listed like a file, since the content
    of that folder is listed already. Raises InputError for a folder that cannot be read.
    """
    way = (*above, folder.resolve())
    for path in _visible(folder):
        if path.is_dir() and not _leads_above(path, way):
            yield from files_below(path, way)
        else:
            yield path


def holds_images(folder: Path) -> bool:
    """Whether an image lies in ``folder``, at any depth."""
    return any(is_image_file(path) for path in files_below(folder))


def is_image_file(path: Path) -> bool:
    """Whether the file's name ends as that of an image which can be read does."""
    return path.suffix.lower() in image_endings() and not path.is_dir()


def is_table(path: Path) -> bool:
    """Whether the file's name ends as a Parquet file's does."""
    return path.suffix.lower() == ".parquet"


def image_endings() -> tuple[str, ...]:
    """The endings of images that can be read, torchvision's."""
    from torchvision.datasets.folder import IMG_EXTENSIONS  # takes a second to import; Parquet sets do without

    endings: tuple[str, ...] = IMG_EXTENSIONS
    return endings


def _visible(folder: Path) -> list[Path]:
    try:
        names = [name for name in os.listdir(folder) if not is_hidden(name)]  # noqa: PTH208  (names alone are sorted)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"the folder {str(folder)!r} cannot be read: {error.strerror}") from error
    return [folder / name for name in sorted(names, key=one_spelling)]


def _leads_above(path: Path, way: tuple[Path, ...]) -> bool:
    """Whether the folder ``path`` is one of those on the ``way`` to it, or above one of them."""
    if not path.is_symlink():
        return False
    target = path.resolve()
    return any(step.is_relative_to(target) for step in way)
