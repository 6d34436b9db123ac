"""Packed files: many rows of one table in few large files, which count once a manifest names them."""

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
from tune_kd.store import names, stamp, views
from tune_kd.store.columns import KEYS
from tune_kd.store.files import Files
from tune_kd.store.lease import Lease
from tune_kd.store.manifest import PACKED
from tune_kd.store.schema import SCHEMAS
from tune_kd.store.views import REWRITTEN, Part

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


class Packer:
    """Writes rows of one table into packed files; a context manager, at whose end ``written`` names them."""

    def __init__(self, files: Files, table: str, generation: int) -> None:
        self.files, self.table = files, table
        self.written: dict[str, int] = {}  # file name → rows
        self._prefix = f"{PACKED}{generation:06d}-{secrets.token_hex(3)}"
        self._waiting: list[pa.Table] = []
        self._parquet: pq.ParquetWriter | None = None
        self._staged: Path | None = None
        self._rows = 0

    def add(self, parts: Sequence[Part], *, without_runs: Iterable[str] = ()) -> None:
        """Take the rows of some files, but for those of some runs; rows of small files are sorted by the key."""
        without = list(without_runs)
        if self.table in REWRITTEN:
            self._add(parts, without, order=True)  # together: a small file stands before its row in a packed one
            return
        small = [part for part in parts if not part.packed]
        for part in parts:
            if part.packed:
                self._add([part], without, order=False)
        for start in range(0, len(small), FILES_AT_ONCE):
            self._add(small[start : start + FILES_AT_ONCE], without, order=True)

    def _add(self, parts: Sequence[Part], without_runs: Sequence[str], *, order: bool) -> None:
        select = f"SELECT * FROM {self.table}" + (f" ORDER BY {', '.join(KEYS[self.table])}" if order else "")
        with views.session({self.table: parts}, without_runs) as connection:
            for batch in pa.RecordBatchReader.from_stream(connection.sql(select)):
                self.take(pa.Table.from_batches([batch]).cast(SCHEMAS[self.table]))

    def take(self, rows: pa.Table) -> None:
        """Take some rows, which are in the table's schema."""
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self._write()
        if self._rows >= ROWS_PER_FILE:
            self._end_file()

    def _write(self) -> None:
        rows, self._waiting = pa.concat_tables([SCHEMAS[self.table].empty_table(), *self._waiting]), []
        if not len(rows):
            return
        with _refusals(self.files, self.table):
            if self._parquet is None:
                self._staged = self.files.stage(self._name)
                self._parquet = stamp.packer(self._staged, rows.schema)
            self._parquet.write_table(rows, row_group_size=ROW_GROUP)
        self._rows += len(rows)

    def _end_file(self) -> None:
        if self._parquet is None or self._staged is None:
            return
        name = self._name
        with _refusals(self.files, self.table):
            stamp.close(self._parquet, f"{self.table}/{name}")
            stamp.stamp(self._staged)
            self.files.publish(self._staged, f"{self.table}/{name}")
        self.written[name] = self._rows
        self._parquet, self._rows = None, 0

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


@contextmanager
def _refusals(files: Files, table: str) -> Iterator[None]:
    """Say it in one line when the disk refuses. Files already published are strays: the next maintenance drops them."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot pack {table} in the store {files.where}: {error.strerror or error}") from error


def remove_all(files: Files, table: str, gone: Iterable[str]) -> None:
    """Delete files of ``table``, side by side: on an object store each is a request."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(files.remove, [f"{table}/{name}" for name in gone]))
