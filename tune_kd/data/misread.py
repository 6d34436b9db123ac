"""Refuses folders in which splits would be taken for classes, and names the folder to give instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tune_kd.data.names import one_spelling, split_kind
from tune_kd.data.tree import Level, holds_images, look
from tune_kd.errors import InputError


def refuse_splits_as_classes(folders: Sequence[Path], splits: Sequence[Path] = ()) -> None:
    """Raise InputError if ``folders``, which would be the classes, are splits themselves or hold some.

    ``splits`` are the folders beside them that are taken as splits already.
    """
    named = [folder for folder in folders if split_kind(folder.name)]
    kinds = {split_kind(folder.name) for folder in [*named, *splits]}
    if named and len(kinds) > 1:
        names = " and ".join(f"{folder.name}/" for folder in sorted([*named, *splits]))
        raise InputError(
            f"{names} of {str(folders[0].parent)!r} look like splits, but hold no class folders; "
            "put the images of each class into a folder of its own there, as in train/CLASS"
        )
    for folder in folders:
        for holder, found in _splits_below(folder):
            raise InputError(_found_below(holder, found, folders[0].parent))


def refuse_classes_beside(train: Path, folders: Sequence[Path]) -> None:
    """Raise InputError if a training set without a test set lies beside ``folders`` that could be classes."""
    beside = [folder for folder in folders if not split_kind(folder.name) and holds_images(folder)]
    if beside:
        names = ", ".join(f"{folder.name}/" for folder in beside[:3]) + (", …" if len(beside) > 3 else "")
        raise InputError(
            f"{train.name}/ of {str(train.parent)!r} looks like a split, but {names} beside it like classes; "
            f"give {train} to train on it alone, or rename it if it is a class"
        )


def check_whole(folder: Path) -> None:
    """Raise InputError, naming the folder to give, if ``folder`` is one split of a set and another lies beside it.

    A folder beside it is another split if it has a split's name, and a class of the same name or Parquet files too.
    """
    folder = folder.resolve()
    kind = split_kind(folder.name)
    if kind is None:
        return
    own = look(folder)
    for path in look(folder.parent).folders:
        if split_kind(path.name) in (None, kind) or path.resolve() == folder:
            continue
        if _have_common(own, look(path)):
            raise InputError(
                f"{str(folder)!r} is one split of a data set, {path.name}/ beside it another; give {folder.parent}"
            )


def _have_common(one: Level, other: Level) -> bool:
    names = [{one_spelling(folder.name) for folder in level.folders} for level in (one, other)]
    return bool(names[0] & names[1]) or bool(one.tables and other.tables)


def _splits_below(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    """The folders in ``folder`` that hold splits, each with its splits.

    They are folders with names of several kinds, or one that has a split's name and class folders in it.
    """
    if split_kind(folder.name) and any(holds_images(inside) for inside in look(folder).folders):
        yield folder.parent, [folder]
    inner = look(folder).folders
    named = [path for path in inner if split_kind(path.name) and holds_images(path)]
    if len({split_kind(path.name) for path in named}) > 1:
        yield folder, named
    for path in inner:
        yield from _splits_below(path)


def _found_below(holder: Path, splits: Sequence[Path], given: Path) -> str:
    names = " and ".join(f"{path.name}/" for path in splits)
    have = "look" if len(splits) > 1 else "looks"
    said = f"{names} in {str(holder)!r} {have} like splits of a data set, not like a class"
    if any(look(path).images for path in splits):
        return f"{said}; put the images of each class under each split instead, as in {given}/train/CLASS"
    return f"{said}; give {holder}, or rename what is a class"
