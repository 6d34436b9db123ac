"""The data sets of the literature by name: found in the data root, else downloaded to there and checked."""

from __future__ import annotations

import socket
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Protocol
from urllib.error import HTTPError

from tune_kd.data.columns import Columns
from tune_kd.data.layout import list_folder
from tune_kd.data.listing import Listing, Source
from tune_kd.errors import InputError, RunFailed

SILENCE_S = 30  # of a server, after which the download fails
BROKEN = (OSError, RuntimeError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error)


class Published(Protocol):
    """How one data set is published."""

    @property
    def url(self) -> str:
        """The address of its archive."""
        ...

    @property
    def folder(self) -> str:
        """The folder that its archive unpacks to."""
        ...

    def download(self, into: Path) -> None:
        """Get the archive, check its checksum and unpack it in the folder ``into``."""
        ...


class OfficialSet(Published, Protocol):
    """How one data set is published, and how its files are read."""

    def read(self, root: Path) -> tuple[Listing, Listing]:
        """The training and the test set of the copy in ``root``.

        Raises InputError, naming what is missing or damaged, for a copy that is not whole.
        """
        ...


def _cifar10() -> OfficialSet:
    from torchvision.datasets import CIFAR10  # takes a second to import

    from tune_kd.data.cifar import Cifar

    return Cifar(CIFAR10)


def _cifar100() -> OfficialSet:
    from torchvision.datasets import CIFAR100

    from tune_kd.data.cifar import Cifar

    return Cifar(CIFAR100)


def _tiny_imagenet() -> OfficialSet:
    from tune_kd.data.tiny_imagenet import TinyImageNet

    return TinyImageNet()


OFFICIAL: dict[str, Callable[[], OfficialSet]] = {
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "tiny-imagenet": _tiny_imagenet,
}


def list_official(name: str, root: Path, columns: Columns | None = None) -> Source:
    """The training and the test set of the data set ``name``.

    They are read from the official files in ``root``; else from ``root/name``, a folder of images or Parquet files, of
    which ``columns`` are read; else the official files are downloaded into ``root``. Raises InputError for a copy that
    is not whole, RunFailed if there is none and the download fails.
    """
    official = OFFICIAL[name]()
    if not (root / official.folder).exists():
        if (root / name).is_dir():
            return list_folder(str(root / name), columns)
        fetch(name, official, root, instead=f"a folder {name} of images or Parquet files")
    try:
        train, test = official.read(root)
    except InputError as error:
        raise InputError(f"{error}; remove {root / official.folder} to have {name} downloaded again") from error
    return Source(train=train, test=test, test_from=f"that of {official.folder}/")


def fetch(name: str, official: Published, root: Path, *, instead: str) -> None:
    """Download ``official`` into ``root``: its folder appears there whole or not at all.

    Raises RunFailed, which says what can be put there ``instead``.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{official.folder}-") as beside:
            with _impatient(), redirect_stderr(StringIO()):  # torchvision draws a progress bar through ours
                official.download(Path(beside))
            unpacked, final = Path(beside) / official.folder, root / official.folder
            if not final.exists():  # else another process was faster
                unpacked.rename(final)
    except BROKEN as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunFailed(
            f"{name} is not in {root} and cannot be downloaded from {official.url}: {reason}; "
            f"put {official.folder}, or {instead}, into DIR and give --data-root DIR"
        ) from error


@contextmanager
def _impatient() -> Iterator[None]:
    """Sockets give up after ``SILENCE_S`` of silence; torchvision sets no time limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
