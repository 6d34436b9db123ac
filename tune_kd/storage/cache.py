"""The cache: files that outlive a command and are no records, in a folder of this machine.

Trained teachers and trials' checkpoints may be kept behind a URL instead, where every node and another machine finds
them. All the rest can be made again and stays in the folder: data, calibrations of this machine, the teacher's
outputs (gigabytes, read by every trial in every epoch and removed at the end of a study).
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tune_kd.errors import InputError, StoreError
from tune_kd.storage.kept_file import KeptFile
from tune_kd.storage.urls import is_url

if TYPE_CHECKING:
    from tune_kd.storage.checkpoints import Slot  # torch: not for those who only read a store

_SHORTENED_URL = re.compile(r"[a-z][a-z0-9+.-]+:/")  # a Path has lost the second slash


class Kept(Protocol):
    """Checkpoints, teachers and pools by name, ``teachers/1f0e….pt``; each file is replaced whole."""

    def place(self, name: str) -> Path | Slot:
        """The path of the file of this name, which need not exist."""

    def names(self, folder: str) -> list[str]:
        """The names of the files in ``folder``, without the folder, sorted; none if it is missing."""

    def files(self, folder: str) -> list[KeptFile]:
        """All files in ``folder`` and in the folders in it, in no order; none if it is missing."""

    def remove(self, name: str) -> None:
        """Drop the file; no error when it is gone."""

    def remove_folder(self, name: str) -> None:
        """Drop a folder with all that is in it; no error when it is gone."""


class LocalFolder:
    """Kept in a folder of this machine or of a file system that it has mounted."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def place(self, name: str) -> Path:
        return self._root / name

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self._root / folder).glob("*"))

    def files(self, folder: str) -> list[KeptFile]:
        found = []
        for path in (self._root / folder).rglob("*"):
            with suppress(FileNotFoundError):  # removed meanwhile
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    used_s = max(status.st_atime, status.st_mtime)
                    found.append(KeptFile(path.relative_to(self._root).as_posix(), status.st_size, used_s))
        return found

    def remove(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        shutil.rmtree(self._root / name, ignore_errors=True)


@dataclass(frozen=True)
class Cache:
    """A folder, and the URL of checkpoints, teachers and pools if they are kept elsewhere."""

    folder: Path
    url: str | None = None

    def __post_init__(self) -> None:
        # Workers have another working directory: a relative path would mean another place there.
        object.__setattr__(self, "folder", self.folder.expanduser().absolute())

    @property
    def kept(self) -> Kept:
        """Checkpoints, teachers and pools. Raises InputError for a URL that cannot be used."""
        return LocalFolder(self.folder) if self.url is None else _remote(self.url)

    @property
    def where(self) -> str:
        """As the user gave it: a folder or a URL."""
        return self.url or str(self.folder)

    @property
    def option(self) -> str:
        """The ``--cache`` option to print in "go on with …"; empty for the default cache.

        The cache of ``TUNE_KD_CACHE`` is named: in another shell or job the variable may not be set.
        """
        return "" if self == Cache(_users_cache()) else f" --cache {shlex.quote(self.where)}"

    def check_folder(self) -> None:
        """See that this user can write the folder, before anything is spent. Raises InputError."""
        if there := unwritable(self.folder):
            raise InputError(
                f"the cache {self.folder} cannot be made: {there} cannot be written; give a folder that can be with "
                f"--cache DIR or TUNE_KD_CACHE"
            )

    def check(self) -> None:
        """Check that this process reaches the URL, before anything is spent. Raises InputError."""
        if self.url is None:
            return
        from tune_kd.storage.remote_folder import RemoteFolder

        try:
            RemoteFolder(self.url, waits_s=()).check()
        except StoreError as error:
            raise InputError(
                f"{error}; give a place where files can be written, read, listed and deleted, "
                "with the credentials in the environment"
            ) from None


def cache_at(given: str | Path | None = None) -> Cache:
    """The cache in a folder or at a URL, by default that of ``TUNE_KD_CACHE``, else the user's cache folder."""
    where = given or os.environ.get("TUNE_KD_CACHE") or default_cache()
    if isinstance(where, Path) and _SHORTENED_URL.match(str(where)):
        raise InputError(f"a cache at a URL must be given as text, got the path {str(where)!r}")
    if is_url(where):
        return Cache(default_cache(), url=str(where).rstrip("/"))
    return Cache(Path(str(where).removeprefix("file://")))


def default_cache() -> Path:
    """The folder of this machine: ``TUNE_KD_CACHE`` if that is a folder, else the user's cache folder."""
    given = os.environ.get("TUNE_KD_CACHE")
    if not given or is_url(given):
        return _users_cache()
    return Path(given.removeprefix("file://")).expanduser().absolute()


def nearest(folder: Path) -> Path:
    """The folder itself if it exists, else the nearest above it that does."""
    # Not Path.exists(), which raises below a folder that may not be searched.
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if os.access(place, os.F_OK))


def unwritable(folder: Path) -> Path | None:
    """The reason why this user cannot make or write ``folder``; None if they can."""
    there = nearest(folder)
    return None if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else there


def _users_cache() -> Path:
    return Path.home() / ".cache" / "tune-kd"


@functools.cache
def _remote(url: str) -> Kept:
    from tune_kd.storage.remote_folder import (
        RemoteFolder,  # pyarrow's file systems: not for those who keep everything here
    )

    return RemoteFolder(url)
