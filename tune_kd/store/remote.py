"""A store on S3 or any other file system that pyarrow or fsspec knows, by its URL.

Sealed files go there, whole. Journals and leases stay on the driver's own disk, in the cache, until an attempt is
sealed; so does a mirror of the files that were read, which are fetched once. Credentials come from the
environment, as the file system's own tools take them, and are kept out of every record and message.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
from pyarrow import fs

from tune_kd.errors import InputError, StoreError
from tune_kd.store.files import STAGING
from tune_kd.store.manifest import PACKED

T = TypeVar("T")

WAITS_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Between the tries of a request that failed."""

_HOPELESS = re.compile(r"ACCESS_DENIED|NO_SUCH_BUCKET|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN")
_SECRET = re.compile(r"key|secret|token|passw|credential|sig", re.IGNORECASE)
_AT_ONCE = 16  # requests
_REWRITTEN = ("runs", "nodes")  # their small files change, which a mirror could miss within a clock's tick


class RemoteFiles:
    """The sealed files of a store behind a URL."""

    sees_all_leases = False

    def __init__(self, url: str, cache: Path, sleep: Callable[[float], None] = time.sleep) -> None:
        self.where = url.rstrip("/")
        self._system, self._root = _file_system(self.where)
        self.state = cache / "stores" / hashlib.sha256(self.where.encode()).hexdigest()[:16]
        self._sleep = sleep

    def put(self, name: str, data: bytes) -> None:
        def write() -> None:
            with self._system.open_output_stream(self._path(name)) as stream:
                stream.write(data)

        self._tried(f"write {name}", write)

    def stage(self, name: str) -> Path:
        folder = self.state / STAGING
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.{os.getpid()}.{secrets.token_hex(4)}"

    def publish(self, staged: Path, name: str) -> None:
        def upload() -> None:
            fs.copy_files(str(staged), self._path(name), fs.LocalFileSystem(), self._system)

        self._tried(f"write {name}", upload)
        staged.unlink()

    def get(self, name: str) -> bytes:
        def read() -> bytes:
            with self._system.open_input_stream(self._path(name)) as stream:
                return bytes(stream.read())

        return self._tried(f"read {name}", read)

    def exists(self, name: str) -> bool:
        [info] = self._tried(f"look at {name}", lambda: self._system.get_file_info([self._path(name)]))
        return bool(info.type == fs.FileType.File)

    def names(self, folder: str) -> list[str]:
        return sorted(info.base_name for info in self._infos(folder))

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

    def remove(self, name: str) -> None:
        def delete() -> None:
            try:
                self._system.delete_file(self._path(name))
            except FileNotFoundError:
                return

        self._tried(f"delete {name}", delete)

    def _download(self, name: str, path: Path, info: fs.FileInfo) -> None:
        """Fetch whole, then rename: other readers share the mirror."""
        part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        self._tried(
            f"read {name}", lambda: fs.copy_files(self._path(name), str(part), self._system, fs.LocalFileSystem())
        )
        if info.mtime_ns is not None:
            os.utime(part, ns=(info.mtime_ns, info.mtime_ns))
        part.replace(path)

    def _infos(self, folder: str) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self._path(folder), allow_not_found=True)
        return self._tried(f"list {folder or 'the store'}", lambda: self._system.get_file_info(selector))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")

    def _tried(self, what: str, request: Callable[[], T]) -> T:
        """The result of ``request``, tried again while what fails may pass. Raises StoreError, FileNotFoundError."""
        for wait_s in (*WAITS_S, None):
            try:
                return request()
            except FileNotFoundError:
                raise
            except (OSError, pa.ArrowException) as error:
                # The exception and its context may quote the request, so that only its scrubbed text goes on.
                reason = scrubbed(str(error))
                if wait_s is None or _HOPELESS.search(reason):
                    break
            self._sleep(wait_s)
        raise StoreError(f"cannot {what} in the store {self.where}: {reason}")


def _same(path: Path, info: fs.FileInfo) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return (status.st_size, status.st_mtime_ns) == (info.size, info.mtime_ns)


def is_url(where: str | Path) -> bool:
    """Whether ``where`` is a URL and not a path of this machine."""
    return isinstance(where, str) and "://" in where and not where.startswith("file://")


def _file_system(url: str) -> tuple[fs.FileSystem, str]:
    """The file system of ``url``, and the store's place in it. Raises InputError."""
    parts = urlsplit(url)
    if parts.username or parts.password or any(_SECRET.search(name) for name in parse_qs(parts.query)):
        raise InputError(
            f"the URL of a store must not hold credentials, got {parts.scheme}://…{parts.path}; "
            "give them in the environment"
        )
    try:
        return fs.FileSystem.from_uri(url)
    except (pa.ArrowException, OSError, ValueError) as error:
        refusal = scrubbed(str(error))
    try:
        import fsspec  # type: ignore[import-untyped]

        system, path = fsspec.core.url_to_fs(url)
        return fs.PyFileSystem(fs.FSSpecHandler(system)), path.rstrip("/")
    except (ImportError, ValueError):
        raise InputError(f"cannot open a store at {url}: {refusal}") from None


def scrubbed(text: str) -> str:
    """``text`` in one line, without any value of an environment variable that may be a credential."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= 8:
            text = text.replace(value, f"${name}")
    return " ".join(text.split())
