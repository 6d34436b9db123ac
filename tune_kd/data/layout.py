"""Which files of a data folder are the training set and which are the test set."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tune_kd.data.columns import Columns
from tune_kd.data.listing import Source
from tune_kd.data.misread import refuse_classes_beside
from tune_kd.data.names import TEST, TRAIN, VALID, split_kind
from tune_kd.data.part import Part, descended, part_beside, part_of
from tune_kd.data.tiny_imagenet import has_its_layout, list_tiny_imagenet
from tune_kd.data.tree import Level, holds_images, look
from tune_kd.errors import InputError

_PLAIN_NAMES = {TRAIN: ("train",), TEST: ("test",), VALID: ("valid", "val")}


def list_folder(source: str, columns: Columns | None = None) -> Source:
    """The training set of the folder ``source``, and its test set if it has one of its own.

    If a folder holds nothing but another one, that one is read. The training set is ``train*``, else everything that
    is not a test or validation set. The test set is ``test*``, else ``valid*`` or ``val``. ``seg_train`` is such a
    name, too. Each is a folder of class folders, or Parquet files, of which ``columns`` are read; or the folder has the
    layout of the official Tiny ImageNet. Both listings have the same classes. Raises InputError for a folder that is
    missing, is empty, has none of these layouts, or has splits in the place of classes.
    """
    root, columns = _existing_folder(source), columns or Columns()
    level = descended(root)
    if level.is_empty:
        raise InputError(f"the data folder {str(level.folder)!r} is empty")
    if has_its_layout(level.folder):  # its test images have no labels, and those in val are not in class folders
        train, test = list_tiny_imagenet(level.folder)
        return Source(train=train, test=test, test_from=_named([level.folder / "val"], root))
    splits = {kind: _split(level, kind) for kind in (TRAIN, TEST, VALID)}
    named, held_out = splits[TRAIN], splits[TEST] or splits[VALID]
    if named and named[0].is_dir() and not held_out:
        refuse_classes_beside(named[0], level.folders)
    pool = part_of(named) if named else part_beside(level, [*splits[TEST], *splits[VALID]])
    read = [*(named or [*pool.tables, *pool.folders]), *held_out]
    return _listed(pool, held_out, root, columns, _unread(level, read, root))


def _listed(pool: Part, held_out: Sequence[Path], root: Path, columns: Columns, unread: Sequence[str]) -> Source:
    train, test = pool.listing(root, columns), None
    if pool.tables:  # a class folder without an image is a mistake, a name without one is usual in a part of a set
        train = train.without_empty_classes()
    is_parquet = bool(pool.tables)
    if held_out:
        part = part_of(held_out, train.classes)
        test = part.listing(root, columns, pool.label_names(columns)).relabelled(train.classes)
        is_parquet |= bool(part.tables)
    return Source(
        train=train,
        test=test,
        test_from=_named(held_out, root),
        is_parquet=is_parquet,
        left_out=dict(Counter(train.left_out) + Counter(test.left_out if test else {})),
        notes=tuple(dict.fromkeys([*train.notes, *unread])),
    )


def _existing_folder(source: str) -> Path:
    root = Path(source).expanduser()
    if root.is_dir():
        return root
    if root.exists():
        raise InputError(f"data {source!r} is a file, not a folder; give the folder that holds it")
    siblings = [path.name for path in root.parent.iterdir() if path.is_dir()] if root.parent.is_dir() else []
    close = difflib.get_close_matches(root.name, ["digits", *siblings], n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise InputError(f"no data folder {source!r}; {hint}give 'digits' or a folder that exists")


def _split(level: Level, kind: str) -> list[Path]:
    """The folder or the Parquet files whose name is of this kind of split; [] if there are none."""
    folders = [path for path in level.folders if split_kind(path.name) == kind and _is_split(path)]
    if len(folders) > 1:
        plain = [path for path in folders if path.name.lower() in _PLAIN_NAMES[kind]]
        if len(plain) != 1:
            names = ", ".join(path.name for path in folders)
            raise InputError(f"more than one folder of {level.folder} could be {kind}*: {names}; keep one")
        folders = plain
    return folders or [path for path in level.tables if split_kind(path.stem) == kind]


def _is_split(folder: Path) -> bool:
    """Whether a folder with a split's name is one: "train" can be a class too, which holds images itself and alone."""
    inside = look(folder)
    return bool(inside.tables) or not inside.images or any(holds_images(path) for path in inside.folders)


def _unread(level: Level, read: Sequence[Path], root: Path) -> list[str]:
    """A note on the data that lie beside and are not read."""
    beside = [path for path in (*level.folders, *level.tables) if path not in read and _holds_data(path)]
    return [f"not read: {', '.join(_from(root, path) for path in beside)}"] if beside else []


def _holds_data(path: Path) -> bool:
    return path.is_file() or holds_images(path) or bool(look(path).tables)


def _named(paths: Sequence[Path], root: Path) -> str:
    """The folder or the files of a part, for people: ``test/``, ``test-00000-of-00002.parquet and 1 more``."""
    names = [_from(root, path) for path in paths]
    return " and ".join([*names[:1], *([f"{len(names) - 1} more"] if len(names) > 1 else [])])


def _from(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() + ("/" if path.is_dir() else "")
