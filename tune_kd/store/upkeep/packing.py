"""Packed files: many rows of one table in few large files, which count once a manifest names them.

Packed rows are compared with the sealed ones, which are read once more in another way. A packed file keeps the digest
of its rows (:mod:`tune_kd.store.files.rows`), by which ``verify`` compares them again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from tune_kd.errors import StoreError
from tune_kd.storage.lease import Lease
from tune_kd.store.columns import KEYS
from tune_kd.store.files import manifest, names, rows, stamp
from tune_kd.store.files.local_files import Files
from tune_kd.store.files.manifest import PACKED
from tune_kd.store.reading import views
from tune_kd.store.reading.views import REWRITTEN, Part
from tune_kd.store.schema import SCHEMAS

ROW_GROUP = 100_000
FILES_AT_ONCE = 2_000
ROWS_PER_FILE = 4_000_000  # several files are checked side by side; one would be one core's work


class Busy(StoreError):
    """Another process changes the packed files."""


@contextmanager
def maintenance(files: Files, *, wait: bool = False) -> Iterator[None]:
    """Be the only one on this machine who changes the store's packed files. Raises Busy when another is at it."""
    path = files.state / names.LEASES / "_maintenance"
    lease = Lease.wait(path) if wait else Lease.try_take(path)
    if lease is None:
        raise Busy(f"the store {files.where} is being compacted, merged or pruned by another process; try again")
    with lease:
        yield


def pack(
    files: Files, table: str, generation: int, parts: Sequence[Part], *, without_runs: Iterable[str] = ()
) -> dict[str, int]:
    """Write the rows of some files, but for those of some runs, into packed files: file name → rows.

    Rows without a digest of the sealed ones stay apart from the others, if a table's files need not be packed
    together. Raises StoreError if the rows are not those that were sealed.
    """
    manifest.begin(files)
    unknown = [part for part in parts if part.packed and stamp.sealed_rows(part.path) is None]
    known = [part for part in parts if part not in unknown]
    written: dict[str, int] = {}
    for group in [parts] if table in REWRITTEN else [unknown, known]:
        with Packer(files, table, generation, compared=not set(unknown) & set(group)) as packer:
            packer.add(group, without_runs=without_runs)
        written |= packer.written
    return written


class Packer:
    """Writes rows of one table into packed files; a context manager, at whose end ``written`` names them."""

    def __init__(self, files: Files, table: str, generation: int, *, compared: bool = True) -> None:
        self.files, self.table = files, table
        self._compared = compared  # whether all rows have a digest of the sealed ones
        self.written: dict[str, int] = {}  # file name → rows
        self._prefix = f"{PACKED}{generation:06d}-{secrets.token_hex(3)}"
        self._waiting: list[pa.Table] = []
        self._parquet: pq.ParquetWriter | None = None
        self._staged: Path | None = None
        self._rows = self._digest = 0  # of the file that is being written

    def add(self, parts: Sequence[Part], *, without_runs: Iterable[str] = ()) -> None:
        """Take the rows of some files, but for those of some runs; rows of small files are sorted by the key."""
        without = list(without_runs)
        if self.table in REWRITTEN:
            self._add(parts, without, order=KEYS[self.table])  # together: a small file's row comes before a packed one
            return
        small = [part for part in parts if not part.packed]
        for part in parts:
            if part.packed:
                self._add([part], without, order=())
        for start in range(0, len(small), FILES_AT_ONCE):
            self._add(small[start : start + FILES_AT_ONCE], without, order=KEYS[self.table])

    def _add(self, parts: Sequence[Part], without_runs: Sequence[str], *, order: Sequence[str]) -> None:
        self._digest += _discrepancy(self.table, parts)

        def sealed() -> int:
            return views.digest(self.table, parts, without_runs, opened=True)

        before = sealed()
        taken = sum(map(self.take, views.stream(self.table, parts, without_runs, order=order))) % rows.MODULUS
        # A run's row may have been written again meanwhile: then the row that was packed is the one that is sealed now.
        if taken not in (before, sealed() if self.table in REWRITTEN else before):
            raise StoreError(
                f"cannot pack {self.table} in the store {self.files.where}: the rows read are not those that were "
                "sealed; nothing was changed"
            )

    def take(self, table: pa.Table) -> int:
        """Take some rows, which are in the table's schema; their digest."""
        digest = rows.digest(table)
        self._digest += digest
        self._waiting.append(table)
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self._write()
        if self._rows >= ROWS_PER_FILE:
            self._end_file()
        return digest

    def _write(self) -> None:
        table, self._waiting = pa.concat_tables([SCHEMAS[self.table].empty_table(), *self._waiting]), []
        if not len(table):
            return
        with _refusals(self.files, self.table):
            if self._parquet is None:
                self._staged = self.files.stage(self._name)
                self._parquet = stamp.packer(self._staged, table.schema)
            self._parquet.write_table(table, row_group_size=ROW_GROUP)
        self._rows += len(table)

    def _end_file(self) -> None:
        if self._parquet is None or self._staged is None:
            return
        name = self._name
        with _refusals(self.files, self.table):
            digest = self._digest % rows.MODULUS if self._compared else None
            stamp.close(self._parquet, f"{self.table}/{name}", sealed_rows=digest)
            stamp.stamp(self._staged)
            self.files.publish(self._staged, f"{self.table}/{name}")
        self.written[name] = self._rows
        self._parquet, self._rows, self._digest = None, 0, 0

    @property
    def _name(self) -> str:
        return f"{self._prefix}-{len(self.written):03d}.parquet"

    def __enter__(self) -> Packer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._write()
                self._end_file()
        finally:
            if self._staged is not None:
                self._staged.unlink(missing_ok=True)


def _discrepancy(table: str, parts: Sequence[Part]) -> int:
    """The difference between the digests of packed rows and of the sealed ones; 0 if they are equal.

    Files that are packed again keep the difference, so that altered rows are never recorded as right.
    """
    sealed = {part: stamp.sealed_rows(part.path) for part in parts if part.packed}
    return sum(
        digest - views.digest(table, [part], opened=True) for part, digest in sealed.items() if digest is not None
    )


@contextmanager
def _refusals(files: Files, table: str) -> Iterator[None]:
    """Raise a one-line StoreError if the disk refuses. Files published already are dropped by the next maintenance."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot pack {table} in the store {files.where}: {error.strerror or error}") from error


def remove_all(files: Files, table: str, gone: Iterable[str]) -> None:
    """Delete files of ``table``, side by side: on an object store each is a request."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(files.remove, [f"{table}/{name}" for name in gone]))
