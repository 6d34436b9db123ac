"""A store on S3 or any other file system that pyarrow or fsspec knows, by its URL.

Sealed files go there, whole. Journals and leases stay on the driver's own disk, in the cache, until an attempt is
sealed; so does a mirror of the files that were read, which are fetched once.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyarrow import fs

from tune_kd.storage.remote_folder import RemoteFolder
from tune_kd.store.files.local_files import STAGING
from tune_kd.store.files.manifest import PACKED

_AT_ONCE = 16  # requests
_REWRITTEN = ("runs", "nodes")  # their small files change, which a mirror could miss within a clock's tick


class RemoteFiles(RemoteFolder):
    """The sealed files of a store behind a URL."""

    sees_all_leases = False

    def __init__(self, url: str, cache: Path, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(url, "store", sleep=sleep)
        self.state = cache / "stores" / hashlib.sha256(self.where.encode()).hexdigest()[:16]

    def stage(self, name: str) -> Path:
        folder = self.state / STAGING
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.{os.getpid()}.{secrets.token_hex(4)}"

    def publish(self, staged: Path, name: str) -> None:
        def upload() -> None:
            fs.copy_files(str(staged), self._path(name), fs.LocalFileSystem(), self._system)

        self._tried(f"write {name}", upload)
        staged.unlink()

    def fetch(self, folder: str, names: Iterable[str]) -> list[Path]:
        mirror = self.state / "mirror" / folder
        mirror.mkdir(parents=True, exist_ok=True)
        infos = {info.base_name: info for info in self._infos(folder)}
        for stale in mirror.iterdir():
            if stale.name not in infos:
                stale.unlink(missing_ok=True)

        def fetch(name: str) -> Path:
            if name not in infos:
                raise FileNotFoundError(f"{folder}/{name}")
            path = mirror / name
            if not _same(path, infos[name]) or (folder in _REWRITTEN and not name.startswith(PACKED)):
                self._download(f"{folder}/{name}", path, infos[name])
            return path

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(fetch, names))

    def _download(self, name: str, path: Path, info: fs.FileInfo) -> None:
        """Fetch whole, then rename: other readers share the mirror."""
        part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        self._tried(
            f"read {name}", lambda: fs.copy_files(self._path(name), str(part), self._system, fs.LocalFileSystem())
        )
        if info.mtime_ns is not None:
            os.utime(part, ns=(info.mtime_ns, info.mtime_ns))
        part.replace(path)


def _same(path: Path, info: fs.FileInfo) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return (status.st_size, status.st_mtime_ns) == (info.size, info.mtime_ns)
