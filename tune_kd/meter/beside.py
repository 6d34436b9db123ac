"""Meters of other studies on the same machine: each writes the reservations of its trials to a file.

An flock on the file shows that its meter lives; the kernel frees it when the meter dies. Meters see each other if
they see the same ``/tmp``: those of other containers, and of jobs with a ``/tmp`` of their own, stay unseen.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ENTRY, BEGINNING = ".tune-kd-meter", b'{"trials"'
"""How the name of a meter's file ends, and how what is in it begins: all else in the folder is somebody else's."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # of one kernel: a /tmp on a shared disk is seen by several


@dataclass(frozen=True, kw_only=True)
class Reservations:
    """Reservations of trials on a machine: number of trials, their CPUs, and their share of each GPU."""

    trials: int = 0
    cpus: float = 0.0
    gpu_shares: Mapping[str, float] = field(default_factory=dict)  # by the GPU's UUID

    def __add__(self, other: Reservations) -> Reservations:
        shares = dict(self.gpu_shares)
        for gpu, share in other.gpu_shares.items():
            shares[gpu] = shares.get(gpu, 0.0) + share
        return Reservations(trials=self.trials + other.trials, cpus=self.cpus + other.cpus, gpu_shares=shares)


def registry_folder() -> Path:
    """The folder that all meters of this machine write to: ``TUNE_KD_METERS`` if it is set, else one in ``/tmp``.

    Not TMPDIR, which may differ from user to user.
    """
    if given := os.environ.get("TUNE_KD_METERS"):
        return Path(given)
    boot = _BOOT_ID.read_text()[:8] if _BOOT_ID.exists() else "any"
    return Path("/tmp") / f"tune-kd-meters-{boot}"


class Registry:
    """One meter's entry among those of its machine. Nothing here raises: unknown is None."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = registry_folder() if folder is None else folder
        self._known: dict[str, Reservations] = {}
        try:
            self._entry: tuple[Path, int] | None = _enter(self._folder)
        except OSError:
            self._entry = None

    def say(self, reserved: Reservations) -> None:
        """Publish the reservations of this meter's trials from now on."""
        if self._entry is None:
            return
        text = {"trials": reserved.trials, "cpus": reserved.cpus, "gpu_shares": dict(reserved.gpu_shares)}
        try:
            # Who reads in between sees nothing or the beginning of a JSON object, which is none.
            os.ftruncate(self._entry[1], 0)
            os.pwrite(self._entry[1], json.dumps(text).encode(), 0)
        except OSError:
            self.close()  # a full disk: others would go on with the entry of before

    def others(self) -> Reservations | None:
        """The reservations of all other living meters; None if unknown."""
        if self._entry is None:
            return None
        total, known = Reservations(), {}
        try:
            for path in self._folder.iterdir():
                if path.suffix == ENTRY and path != self._entry[0] and (told := self._read(path)) is not None:
                    known[path.name] = told
                    total += told
        except OSError:
            return None
        self._known = known
        return total

    def close(self) -> None:
        """Take the entry back."""
        if self._entry is not None:
            with suppress(OSError):
                self._entry[0].unlink()
            os.close(self._entry[1])
            self._entry = None

    def _read(self, path: Path) -> Reservations | None:
        """The entry of a living meter; None for a dead one, whose entry is removed, and for what is no entry."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None  # gone meanwhile
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _reservations(os.pread(descriptor, 1 << 16, 0)) or self._known.get(path.name, Reservations())
        else:
            if os.pread(descriptor, len(BEGINNING), 0) in (BEGINNING, b""):
                with suppress(OSError):  # another user's
                    path.unlink()
            return None
        finally:
            os.close(descriptor)


def _enter(folder: Path) -> tuple[Path, int]:
    """A new file in ``folder``, which every user of the machine may write to, and its locked descriptor."""
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o1777)
    while True:
        path = folder / f"{secrets.token_hex(8)}{ENTRY}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
        os.fchmod(descriptor, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():
            return path, descriptor
        os.close(descriptor)  # somebody took it for a dead meter's, before it was locked


def _reservations(text: bytes) -> Reservations | None:
    try:
        return Reservations(**json.loads(text))
    except (ValueError, TypeError):
        return None  # being written just now
