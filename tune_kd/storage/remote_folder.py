"""A folder on S3 or any other file system that pyarrow or fsspec knows, by its URL: a store's, or a cache's.

Each file is put whole and replaces an earlier one. Credentials come from the environment, as the file system's own
tools take them, and are kept out of every message.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
from pyarrow import fs

from tune_kd.errors import InputError, StoreError
from tune_kd.storage.kept_file import KeptFile
from tune_kd.storage.urls import refuse_credentials, scrubbed

T = TypeVar("T")

WAITS_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Between the tries of a request that failed."""

_HOPELESS = re.compile(r"ACCESS_DENIED|NO_SUCH_BUCKET|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN")


class _LiteralPaths(fs.FSSpecHandler):
    """fsspec's file systems, whose ``rm`` takes a path for a pattern: with ``a*b`` it deletes ``aXb``, too."""

    def delete_file(self, path: str) -> None:
        self.fs.rm_file(path)

    def delete_dir(self, path: str) -> None:
        for file in self.fs.find(path):
            self.fs.rm_file(file)
        if self.fs.isdir(path):  # a folder that is more than the names of its files
            for folder in sorted(self.fs.find(path, withdirs=True), reverse=True):
                self.fs.rmdir(folder)


class RemoteFolder:
    """The files behind a URL, by name: ``trials/….parquet``. Raises StoreError if the place refuses.

    ``kind`` is its name in messages: a store or a cache.
    """

    def __init__(
        self,
        url: str,
        kind: str = "cache",
        *,
        waits_s: Sequence[float] = WAITS_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.where, self._kind = url.rstrip("/"), kind
        self._system, self._root = _file_system(self.where, kind)
        self._waits_s, self._sleep = waits_s, sleep

    def put(self, name: str, data: bytes) -> None:
        """Write the file whole."""

        def write() -> None:
            with self._system.open_output_stream(self._path(name)) as stream:
                stream.write(data)

        self._tried(f"write {name}", write)

    def get(self, name: str) -> bytes:
        """The file's bytes. Raises FileNotFoundError."""

        def read() -> bytes:
            with self._system.open_input_stream(self._path(name)) as stream:
                return bytes(stream.read())

        return self._tried(f"read {name}", read)

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        [info] = self._tried(f"look at {name}", lambda: self._system.get_file_info([self._path(name)]))
        return bool(info.type == fs.FileType.File)

    def names(self, folder: str) -> list[str]:
        """The names of the files in ``folder``, without the folder, sorted; none if it is missing."""
        return sorted(info.base_name for info in self._infos(folder))

    def files(self, folder: str) -> list[KeptFile]:
        """All files in ``folder`` and in the folders in it, with the time at which each was written."""
        below = len(self._path("").rstrip("/")) + 1
        return [
            KeptFile(info.path[below:], info.size, info.mtime.timestamp() if info.mtime else 0.0)
            for info in self._infos(folder, recursive=True)
            if info.type == fs.FileType.File
        ]

    def remove(self, name: str) -> None:
        """Drop the file; no error when it is gone."""
        self._removed(name, self._system.delete_file)

    def remove_folder(self, name: str) -> None:
        """Drop a folder with all that is in it; no error when it is gone."""
        self._removed(name, self._system.delete_dir)

    def place(self, name: str) -> RemoteFile:
        """One file of this folder, there or not."""
        return RemoteFile(self, name)

    def check(self) -> None:
        """See that files can be written, read, listed and deleted here. Raises StoreError."""
        probe = f".checked-{secrets.token_hex(8)}"
        self.put(probe, bytes(4096))  # Arrow asks nobody for an empty file, and reads an error into the file's room
        self.get(probe)
        self.remove(probe)
        self.place(probe).read()  # S3 tells only those who may list that there is no such file
        self.names(probe)

    def _removed(self, name: str, delete: Callable[[str], None]) -> None:
        def remove() -> None:
            try:
                delete(self._path(name))
            except FileNotFoundError:
                return

        self._tried(f"delete {name}", remove)

    def _infos(self, folder: str, *, recursive: bool = False) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self._path(folder), allow_not_found=True, recursive=recursive)
        return self._tried(f"list {folder or 'what is'}", lambda: self._system.get_file_info(selector))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")

    def _tried(self, what: str, request: Callable[[], T]) -> T:
        """The result of ``request``, repeated if the error may be temporary. Raises StoreError, FileNotFoundError."""
        for wait_s in (*self._waits_s, None):
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
        raise StoreError(f"cannot {what} in the {self._kind} {self.where}: {reason}")


@dataclass(frozen=True)
class RemoteFile:
    """A :class:`tune_kd.storage.checkpoints.Slot` in a remote folder."""

    folder: RemoteFolder
    name: str

    def write(self, content: bytes) -> None:
        self.folder.put(self.name, content)

    def read(self) -> bytes | None:
        try:
            return self.folder.get(self.name)
        except FileNotFoundError:
            return None


def _file_system(url: str, kind: str) -> tuple[fs.FileSystem, str]:
    """The file system of ``url``, and the folder's place in it. Raises InputError."""
    refuse_credentials(url, kind)
    try:
        system, path = fs.FileSystem.from_uri(url)
    except (pa.ArrowException, OSError, ValueError) as error:
        refusal = scrubbed(str(error))
    else:
        if "#" in url:  # Arrow silently drops the rest, and stores would share a place
            raise InputError(f"cannot open a {kind} at {url}: '#' ends the path in a URL; write %23")
        return system, path
    try:
        import fsspec  # type: ignore[import-untyped]

        system, path = fsspec.core.url_to_fs(url)
        return fs.PyFileSystem(_LiteralPaths(system)), path.rstrip("/")
    except (ImportError, ValueError):
        raise InputError(f"cannot open a {kind} at {url}: {refusal}") from None
