"""The journal of one trial attempt: fsynced JSON lines, held under a lease while its writer lives.

Every event is on disk before :meth:`Journal.append` returns, so a crash loses nothing that was reported.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from tune_kd import events
from tune_kd.errors import StoreError
from tune_kd.storage.lease import Lease
from tune_kd.store.files.local_files import fsync_folder, make_folder


class Journal:
    """Appends events to the journal file; a context manager. The file is refused if it has events already."""

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        lease = Lease.try_take(path)
        if lease is None:
            raise StoreError(f"the journal {path.name} is being written by another process")
        if os.fstat(lease.descriptor).st_size > 0:
            lease.release()
            raise StoreError(f"the journal {path.name} holds an attempt that was not sealed; seal the orphans first")
        self.path = path
        self._lease = lease
        self._size = 0  # bytes of whole, fsynced lines
        fsync_folder(path.parent)

    def append(self, event: events.Event) -> None:
        """Write one event and fsync it. Raises StoreError, with the journal as it was, when the disk refuses."""
        if self._lease.descriptor < 0:
            raise StoreError(f"the journal {self.path.name} is closed")
        line = (events.to_json(event) + "\n").encode()
        try:
            _write_all(self._lease.descriptor, line)
            os.fsync(self._lease.descriptor)
        except OSError as error:
            os.ftruncate(self._lease.descriptor, self._size)  # needs no space, and leaves no torn line in the middle
            raise StoreError(f"cannot write the journal {self.path}: {error.strerror}") from error
        self._size += len(line)

    def read(self) -> list[events.Event]:
        """The events so far."""
        return read_events(self.path)

    def close(self, *, remove: bool = False) -> None:
        """Give the lease back; with ``remove``, drop the file, whose events are sealed."""
        if remove and self._lease.descriptor < 0:
            self.path.unlink(missing_ok=True)
        self._lease.release(remove=remove)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_events(path: Path) -> list[events.Event]:
    """The events of a journal. A last line that a crash tore is left out; a broken one before it raises StoreError."""
    *lines, last = path.read_bytes().split(b"\n")
    found = [_event(path, number, line) for number, line in enumerate(lines, start=1)]
    # A torn line has no line end. A whole one can only lack it if the crash came between its bytes and its end.
    try:
        return [*found, events.from_json(last.decode())] if last else found
    except (ValueError, TypeError, KeyError):
        return found


def _event(path: Path, number: int, line: bytes) -> events.Event:
    try:
        return events.from_json(line.decode())
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"journal {path}, line {number}, is damaged: {error}") from None


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``: a disk that fills up takes a part of it first."""
    while data:
        data = data[os.write(descriptor, data) :]
