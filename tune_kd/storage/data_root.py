"""The folder of data sets with a name, and whether one of them lies there. Nothing is read or fetched to know it."""

from __future__ import annotations

from pathlib import Path

FOLDERS = {
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "tiny-imagenet": "tiny-imagenet-200",
    "voc": "VOCdevkit",
}
"""By name, the folder that the published archive of each data set unpacks to."""


def official_root(cache: Path, data_root: str | Path | None) -> Path:
    """The folder of data sets with a name: the data root that was given, else a folder of the cache."""
    return cache / "datasets" if data_root is None else Path(data_root).expanduser().absolute()


def is_here(name: str, root: Path) -> bool:
    """Is there a copy of the data set ``name`` in ``root``, whole or not?"""
    return (root / FOLDERS[name]).exists() or (root / name).is_dir()
