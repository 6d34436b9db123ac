"""Leases: an flock on a file shows that its holder lives. The kernel frees it when the holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from tune_kd.errors import StoreError


class Lease:
    """A held lease; a context manager. Make one with :meth:`try_take` or :meth:`wait`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    def try_take(cls, path: Path) -> Lease | None:
        """The lease on ``path``, whose file is made if missing; None while another process holds it."""
        return cls._take(path, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @classmethod
    def wait(cls, path: Path) -> Lease:
        """As :meth:`try_take`, but waits for the holder to end."""
        lease = cls._take(path, fcntl.LOCK_EX)
        assert lease is not None  # only LOCK_NB gives up
        return lease

    @classmethod
    def _take(cls, path: Path, how: int) -> Lease | None:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, how)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except OSError as error:
                os.close(descriptor)
                raise StoreError(f"cannot lock {path}: {error.strerror}; its file system must know flock") from None
            if _same_file(path, descriptor):
                return cls(path, descriptor)
            os.close(descriptor)  # its last holder removed the file between our open and our lock: try the new one

    def release(self, *, remove: bool = False) -> None:
        """Give the lease back; ``remove`` its file while it is still held, so that nobody locks a dead one."""
        if self.descriptor < 0:
            return
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self.descriptor)
        self.descriptor = -1

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
