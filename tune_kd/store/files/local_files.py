"""The sealed files of a store, and those on a local disk: each file appears whole and durable, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from tune_kd.errors import StoreError

STAGING = "_staging"


class Files(Protocol):
    """The sealed files of one store, by name: ``trials/….parquet``. Raises StoreError when the place refuses."""

    where: str  # as the user gave it: a path or a URL
    state: Path  # local folder of journals and leases
    sees_all_leases: bool  # whether every driver of the store keeps its leases in ``state``

    def put(self, name: str, data: bytes) -> None:
        """Write the file whole, in the place of one that may be there."""

    def publish(self, staged: Path, name: str) -> None:
        """Move a file that was written at :meth:`stage` to ``name``."""

    def stage(self, name: str) -> Path:
        """A local path to write a large file at, before :meth:`publish`."""

    def get(self, name: str) -> bytes:
        """The file's bytes. Raises FileNotFoundError."""

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""

    def names(self, folder: str) -> list[str]:
        """The names of the files in ``folder``, without the folder, sorted; none if it is missing."""

    def fetch(self, folder: str, names: Iterable[str]) -> list[Path]:
        """Local paths of the files. One that vanished meanwhile may be missing there."""

    def remove(self, name: str) -> None:
        """Drop the file; no error when it is gone."""


class LocalFiles:
    """A store in a folder of this machine or of a file system it has mounted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root
        self.where = str(root)
        self.sees_all_leases = True

    def put(self, name: str, data: bytes) -> None:
        staged = None
        try:
            staged = self.stage(name)
            with staged.open("xb") as file:
                file.write(data)
            self.publish(staged, name)
        except OSError as error:
            raise StoreError(f"cannot write {name} to the store {self.where}: {error.strerror}") from error
        finally:
            if staged is not None:
                staged.unlink(missing_ok=True)

    def stage(self, name: str) -> Path:
        folder = self.root / STAGING  # in the store, so that the rename stays on one file system
        make_folder(folder)
        return folder / f"{Path(name).name}.{os.getpid()}.{secrets.token_hex(4)}"

    def publish(self, staged: Path, name: str) -> None:
        """Fsync the file before its rename and the folder after: neither order nor content is left to chance."""
        with staged.open("rb") as file:
            os.fsync(file.fileno())
        target = self.root / name
        try:
            staged.rename(target)
        except FileNotFoundError:
            make_folder(target.parent)
            staged.rename(target)
        fsync_folder(target.parent)

    def get(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def exists(self, name: str) -> bool:
        return (self.root / name).exists()

    def names(self, folder: str) -> list[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                return sorted(entry.name for entry in entries)
        except FileNotFoundError:
            return []

    def fetch(self, folder: str, names: Iterable[str]) -> list[Path]:
        return [self.root / folder / name for name in names]

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it, and their names durable."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        fsync_folder(folder.parent)


def fsync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable: fsync of a file does not cover the entry that leads to it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
