"""One part of a data set, training or test: Parquet files, or class folders and the files beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tune_kd.data.columns import Columns
from tune_kd.data.folder import list_class_folders
from tune_kd.data.listing import Listing
from tune_kd.data.misread import refuse_splits_as_classes
from tune_kd.data.names import one_spelling
from tune_kd.data.tree import Level, look
from tune_kd.errors import InputError

LOOSE = "image outside a class folder"


@dataclass(frozen=True, kw_only=True)
class Part:
    """The folders or files of a part. Beside its class folders lie ``splits``, and images that are in no class."""

    tables: Sequence[Path] = ()
    folders: Sequence[Path] = ()
    splits: Sequence[Path] = ()
    loose: int = 0

    def listing(self, root: Path, columns: Columns, label_names: tuple[str, ...] | None = None) -> Listing:
        """Its images, their names relative to ``root``, of Parquet files those of ``columns``.

        Labels are called by the files' own names for them, else by ``label_names``. Raises InputError.
        """
        if self.tables:
            from tune_kd.data.parquet import list_parquet

            return list_parquet(self.tables, root, columns, label_names)
        refuse_splits_as_classes(self.folders, self.splits)
        listing = list_class_folders(self.folders, root)
        return replace(listing, left_out=Counter(listing.left_out) + Counter({LOOSE: self.loose}))

    def label_names(self, columns: Columns) -> tuple[str, ...] | None:
        """The names of its labels; None for Parquet files that have none."""
        if not self.tables:
            return tuple(dict.fromkeys(one_spelling(folder.name) for folder in self.folders))
        from tune_kd.data.parquet import label_names

        return label_names(self.tables[0], columns)


def part_of(paths: Sequence[Path], classes: Collection[str] = ()) -> Part:
    """The part that has a split's name: Parquet files, or the folder that holds it."""
    if not paths[0].is_dir():
        return Part(tables=paths)
    inside = descended(paths[0], classes)
    if inside.is_empty:
        raise InputError(f"the data folder {str(inside.folder)!r} is empty")
    if not (inside.tables or inside.folders):
        raise InputError(no_layout(inside))
    return Part(tables=inside.tables, folders=inside.folders, loose=len(inside.images))


def part_beside(level: Level, splits: Sequence[Path]) -> Part:
    """The training set if nothing has its name: the other Parquet files, else the other folders."""
    tables, folders = ([path for path in paths if path not in splits] for paths in (level.tables, level.folders))
    if tables:
        return Part(tables=tables)
    if folders:
        return Part(folders=folders, splits=splits, loose=len(level.images))
    raise InputError(no_layout(level))


def descended(folder: Path, classes: Collection[str] = ()) -> Level:
    """The content of ``folder``. If that is a lone folder that is no class, the content of that one, and so on."""
    level, seen = look(folder), {folder.resolve()}
    while len(level.folders) == 1 and not (level.images or level.tables):
        [only] = level.folders
        inside = look(only)
        if inside.images or one_spelling(only.name) in classes or only.resolve() in seen:
            break
        level = inside
        seen.add(only.resolve())
    return level


def no_layout(level: Level) -> str:
    """The error for a folder that has none of the known layouts."""
    names = [path.name for path in (*level.folders, *level.tables, *level.images, *level.others)]
    return (
        f"{str(level.folder)!r} has neither class folders of images (ImageFolder layout) nor Parquet files with the "
        f"columns image and label (Hugging Face layout); it holds {', '.join(names[:3]) or 'nothing else'}"
    )
