"""Opening a store: by the path of a folder, or by a URL (``s3://bucket/prefix``) of a file system elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from tune_kd.errors import InputError
from tune_kd.storage.cache import default_cache
from tune_kd.storage.urls import is_url
from tune_kd.store.files import marker
from tune_kd.store.files.local_files import Files, LocalFiles
from tune_kd.store.store import Store


def create_store(where: str | Path, *, cache: Path | None = None) -> Store:
    """The store at ``where``, to write to. It is made if there is nothing or an empty folder.

    Raises InputError for a folder that holds something else, a file, a place that cannot be written, or a store of
    a newer schema version. The journals of a store at a URL are kept in ``cache``.
    """
    files = _files(where, cache)
    if isinstance(files, LocalFiles) and files.root.exists() and not files.root.is_dir():
        raise InputError(f"{files.root} is a file; a store is a folder")
    marker.prepare(files)
    if isinstance(files, LocalFiles) and not os.access(files.root, os.W_OK | os.X_OK):
        raise InputError(f"the store {files.root} cannot be written; give a folder that can be written")
    return Store(files)


def open_store(where: str | Path, *, cache: Path | None = None) -> Store:
    """The store at ``where``, which must be one. Raises InputError."""
    files = _files(where, cache)
    if isinstance(files, LocalFiles) and not files.root.exists():
        raise InputError(f"{files.root} is not a tune-kd store; there is no such folder")
    marker.check(files)
    return Store(files)


def _files(where: str | Path, cache: Path | None) -> Files:
    if is_url(where):
        from tune_kd.store.files.remote_files import RemoteFiles

        return RemoteFiles(str(where), cache or default_cache())
    return LocalFiles(Path(str(where).removeprefix("file://")).expanduser().absolute())
