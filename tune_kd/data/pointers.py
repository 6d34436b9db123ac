"""Pointers of Git LFS: small files in the place of data that were not fetched."""

from __future__ import annotations

from pathlib import Path

LFS_POINTER = "a Git LFS pointer, not the data themselves; fetch them with: git lfs pull"

_BEGINNING = b"version https://git-lfs.github.com/spec/"


def is_lfs_pointer(source: Path | bytes) -> bool:
    """Whether a file, or its contents, is a pointer of Git LFS; False for a file that cannot be read."""
    if isinstance(source, bytes):
        return source.startswith(_BEGINNING)
    try:
        with source.open("rb") as file:
            return file.read(len(_BEGINNING)) == _BEGINNING
    except OSError:
        return False
