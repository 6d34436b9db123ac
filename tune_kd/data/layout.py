"""Which files of a data folder are the training set and which are the test set."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from tune_kd.data.folder import is_image_file, list_class_folders
from tune_kd.data.listing import Listing
from tune_kd.data.tiny_imagenet import has_its_layout, list_tiny_imagenet
from tune_kd.errors import InputError

_TRAIN = ("train*",)
_TEST = ("test*",)
_VALID = ("valid*", "val", "val[-_.0-9]*")


def list_folder(source: str) -> tuple[Listing, Listing | None]:
    """The training set of the folder ``source``, and its test set or None where it has none of its own.

    ``train*`` is the training set, else everything that is not a test or validation set; ``test*`` is the test set,
    else ``valid*`` or ``val``. Each is a folder of class folders, or Parquet files; or all is laid out as the official
    Tiny ImageNet is. Both listings have the same classes. Raises InputError for a folder that is missing, is empty or
    has none of these layouts.
    """
    root = _existing_folder(source)
    entries = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    if not entries:
        raise InputError(f"the data folder {source!r} is empty")
    if has_its_layout(root):  # its test images have no labels, and those in val are not in class folders
        return list_tiny_imagenet(root)
    test, valid = _part(entries, _TEST), _part(entries, _VALID)
    train = _part(entries, _TRAIN) or [path for path in entries if path not in test and path not in valid]
    training_set = _list(train, root)
    if not (test or valid):
        return training_set, None
    return training_set, _list(test or valid, root, training_set.classes).relabelled(training_set.classes)


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


def _part(entries: Sequence[Path], patterns: Sequence[str]) -> list[Path]:
    """The folder or the Parquet files whose name fits one of ``patterns``; [] where there are none."""
    fitting = [path for path in entries if any(fnmatch(_stem(path), pattern) for pattern in patterns)]
    folders = [path for path in fitting if path.is_dir() and not _is_class_folder(path)]
    if len(folders) > 1:
        folders = [path for path in folders if any(_stem(path) == pattern.rstrip("*") for pattern in patterns)]
        if len(folders) != 1:
            names = ", ".join(path.name for path in fitting)
            raise InputError(f"more than one folder of {entries[0].parent} could be {patterns[0]}: {names}; keep one")
    return folders or [path for path in fitting if path.suffix == ".parquet"]


def _stem(path: Path) -> str:
    return (path.name if path.is_dir() else path.stem).lower()


def _is_class_folder(folder: Path) -> bool:
    """Whether the folder holds images itself: "train" and "valley" can be classes too."""
    return any(is_image_file(path) for path in folder.iterdir())


def _list(paths: Sequence[Path], root: Path, classes: tuple[str, ...] | None = None) -> Listing:
    """The images of a part: one folder that has its name, or class folders, or Parquet files."""
    if len(paths) == 1 and paths[0].is_dir() and not _is_class_folder(paths[0]):
        inside = [path for path in sorted(paths[0].iterdir()) if not path.name.startswith(".")]
        if inside:
            return _list_layout(inside, root, classes)
        raise InputError(f"the data folder {str(paths[0])!r} is empty")
    return _list_layout(paths, root, classes)


def _list_layout(paths: Sequence[Path], root: Path, classes: tuple[str, ...] | None) -> Listing:
    files = [path for path in paths if path.suffix == ".parquet" and path.is_file()]
    if files:
        from tune_kd.data.parquet import list_parquet

        return list_parquet(files, root, classes)
    folders = [path for path in paths if path.is_dir()]
    if folders:
        return list_class_folders(folders, root)
    found = ", ".join(path.name for path in paths[:3]) or "nothing else"
    raise InputError(
        f"{str(root)!r} has neither class folders of images (ImageFolder layout) nor Parquet files with the columns "
        f"image and label (Hugging Face layout); it holds {found}"
    )
