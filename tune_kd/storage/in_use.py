"""What running studies use of a cache, and the lock under which its files are removed.

A run that lives holds a lease on a file of its own, ``teacher_outputs/NAME.RUN.lease``. The file lists what else of the
cache the run uses. A study takes its leases, and whoever removes files looks at them, under one lock.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tune_kd.errors import StoreError
from tune_kd.storage.lease import Lease

OUTPUTS = "teacher_outputs"
_LEASE = ".lease"


@contextmanager
def uses_fixed(folder: Path) -> Iterator[None]:
    """Hold the lock of the cache in ``folder`` under which uses begin and files are removed. Raises StoreError."""
    path = folder / OUTPUTS / "removal.lock"
    try:
        gate = Lease.wait(path)
    except OSError as error:
        raise StoreError(f"cannot lock {path}: {error.strerror}") from None
    try:
        yield
    finally:
        gate.release(remove=True)


def take(folder: Path, outputs: str, run_id: str, uses: Iterable[str] = ()) -> Lease | None:
    """The lease of a run on a teacher's ``outputs``, on its checkpoints and images, and on all it ``uses`` beside.

    ``uses`` are names in the cache in ``folder``. None while another process holds the lease. Raises StoreError.
    """
    lease = Lease.try_take(folder / OUTPUTS / f"{outputs}.{run_id}{_LEASE}")
    if lease is not None:
        os.ftruncate(lease.descriptor, 0)
        os.write(lease.descriptor, "".join(f"{name}\n" for name in uses).encode())
    return lease


@contextmanager
def using(folder: Path, name: str, run_id: str, uses: Iterable[str]) -> Iterator[None]:
    """As :func:`take` for a command that shares no outputs; where nothing can be locked, nothing is held."""
    lease = None
    with suppress(StoreError), uses_fixed(folder):
        lease = take(folder, name, run_id, uses)
    try:
        yield
    finally:
        if lease is not None:
            lease.release(remove=True)


def names_in_use(folder: Path) -> set[str]:
    """The names of all that living commands use of the cache in ``folder``. Raises StoreError."""
    used = set()
    for path in _leases(folder):
        if _is_held(path):
            outputs, run_id = _told(path)
            used |= {f"{OUTPUTS}/{outputs}", f"checkpoints/{run_id}", f"pools/of-trials/{run_id}"}
            used |= set(path.read_text().split())
    training = [path for path in folder.glob(".teacher-*.lock") if _is_held(path)]
    return used | {f"teachers/{path.stem.removeprefix('.teacher-')}.pt" for path in training}


def runs_by_outputs(folder: Path) -> dict[str, list[str]]:
    """By the name in the cache of a teacher's outputs, the runs that use them or were interrupted with them."""
    found: dict[str, list[str]] = {}
    for path in sorted(_leases(folder)):
        outputs, run_id = _told(path)
        found.setdefault(f"{OUTPUTS}/{outputs}", []).append(run_id)
    return found


def forget(folder: Path, outputs: str) -> None:
    """Remove what interrupted runs have left to keep a teacher's outputs, which are called ``outputs`` in the cache."""
    for path in folder.glob(f"{outputs}.*{_LEASE}"):
        path.unlink(missing_ok=True)


def _leases(folder: Path) -> Iterator[Path]:
    return (folder / OUTPUTS).glob(f"*{_LEASE}")


def _told(path: Path) -> tuple[str, str]:
    """The outputs and the run that a lease's file name tells."""
    outputs, _, run_id = path.name.removesuffix(_LEASE).partition(".")
    return outputs, run_id


def _is_held(path: Path) -> bool:
    """Does a living process hold it? One that cannot be asked for counts as held."""
    try:
        lease = Lease.try_take(path)
    except OSError:
        return True
    if lease is not None:
        lease.release()
    return lease is None
