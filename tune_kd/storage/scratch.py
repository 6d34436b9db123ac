"""Temporary folders of our own. A lock in the folder shows that its owner lives; a folder of a dead owner is removed.

The kernel frees the lock when the owner dies, also if the folder is shared between containers, in which a process id or
a name would not identify the owner.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tune_kd.errors import InputError, StoreError
from tune_kd.storage.lease import Lease

PREFIX = "tune-kd-"
OWNER = ".owner"  # in each of our folders: marks it as ours, and its lock is the owner's
LONGEST_NAME_BYTES = len(PREFIX) + 8  # as tempfile makes them


@contextmanager
def own_folder(longest_bytes: int | None = None) -> Iterator[Path]:
    """A new, empty folder that is removed at the end, its path at most ``longest_bytes`` long.

    It lies in ``TMPDIR`` if that is set, can be written and is short enough, else in ``/tmp`` or ``/var/tmp``. Folders
    of dead processes there are removed first. Raises InputError if none of these can be used.
    """
    folder, lease = _make(longest_bytes)
    try:
        yield folder
    finally:
        _remove(folder, lease)


def remove_abandoned(place: Path) -> None:
    """Remove the folders of ours in ``place`` whose owners are dead, and nothing else."""
    for folder in place.glob(f"{PREFIX}*"):
        # Only then is it touched: to ask for the lock would make its file.
        if not _is_ours(folder):
            continue
        with contextlib.suppress(OSError, StoreError):
            lease = Lease.try_take(folder / OWNER)
            # Somebody else may have been removing it meanwhile, and is done.
            if lease is not None and _is_ours(folder):
                _remove(folder, lease)
            elif lease is not None:
                lease.release()


def places() -> list[Path]:
    """The folders in which temporary folders may lie, best first."""
    given = os.environ.get("TMPDIR")
    usual = [Path("/tmp"), Path("/var/tmp")]
    return list(dict.fromkeys([Path(given).absolute(), *usual] if given else usual))


def _make(longest_bytes: int | None) -> tuple[Path, Lease]:
    refused = []
    for place in places():
        length = len(os.fsencode(place)) + 1 + LONGEST_NAME_BYTES
        if longest_bytes is not None and length > longest_bytes:
            most = longest_bytes - 1 - LONGEST_NAME_BYTES
            refused.append(f"{place} is longer than the {most} bytes that leave room for Ray's sockets")
            continue
        try:
            remove_abandoned(place)
            return _owned(Path(tempfile.mkdtemp(prefix=PREFIX, dir=place)))
        except OSError as error:
            refused.append(f"{place}: {error.strerror}")
        except StoreError as error:
            refused.append(str(error))
    raise InputError(f"no place for temporary files: {', '.join(refused)}; set TMPDIR to a short path that is writable")


def _owned(folder: Path) -> tuple[Path, Lease]:
    """The folder with its lock. It becomes ours, and removable, by its mark, which is written under the lock."""
    try:
        lease = Lease.wait(folder / OWNER)
        os.write(lease.descriptor, _mark(folder))
    except (OSError, StoreError):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, lease


def _mark(folder: Path) -> bytes:
    """With the folder's name: a copy of a folder of ours is its user's."""
    return f"a temporary folder of tune-kd: {folder.name}\n".encode()


def _is_ours(folder: Path) -> bool:
    """Whether the folder bears the mark and is this user's."""
    mark = folder / OWNER
    try:
        kept = not folder.is_symlink() and folder.stat().st_uid == os.geteuid()
        return kept and mark.is_file() and mark.read_bytes() == _mark(folder)
    except OSError:
        return False


def _remove(folder: Path, lease: Lease) -> None:
    """Remove a folder whose lock is held, its mark last: if something cannot be removed, a later try may succeed."""
    with lease, contextlib.suppress(OSError):
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != OWNER:
                entry.unlink(missing_ok=True)
        lease.release(remove=[entry.name for entry in folder.iterdir()] == [OWNER])
        folder.rmdir()
