"""Reading a store: one moment's files, checked, as DataFrames or through duckdb."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from tune_kd.errors import StoreError, nearest
from tune_kd.store.columns import KEYS, TABLES
from tune_kd.store.files import manifest as manifests
from tune_kd.store.files import names, stamp
from tune_kd.store.files.footer import may_hold
from tune_kd.store.files.local_files import Files
from tune_kd.store.files.manifest import Manifest
from tune_kd.store.files.stamp import Fault
from tune_kd.store.reading import views
from tune_kd.store.reading.views import Part
from tune_kd.store.schema import SCHEMAS
from tune_kd.store.sql import quoted

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

_TRIES = 20  # how often a reader starts again because the packed files changed meanwhile
T = TypeVar("T")

WITHOUT_MANIFEST = Fault(
    file=manifests.NAME, kind="missing", detail="packed files that it named are not read; bring it back from a copy"
)


class StoreWarning(UserWarning):
    """Files of a store were left out of a reading."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The files of some tables at one moment, all of them checked."""

    manifest: Manifest
    tables: dict[str, list[Part]]
    faults: list[Fault]  # the files that are left out


class Reader:
    """Reads one store, and remembers which files it has checked."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._sound: dict[tuple[Path, int, int, int], int] = {}

    def frame(
        self, table: str, columns: Collection[str] | None = None, run_ids: Collection[str] | None = None
    ) -> pd.DataFrame:
        """A table as a DataFrame: the columns asked for in the schema's order, the rows in the key's.

        With ``run_ids`` the rows of these runs alone; files that cannot hold any are not read.
        """
        schema = SCHEMAS[table]
        asked = schema.names if columns is None else list(columns)
        for name in asked:
            if name not in schema.names:
                raise StoreError(f"{table} has no column {name!r}; {nearest(name, schema.names)}")
        wanted = [name for name in schema.names if name in asked]
        select = f"SELECT {', '.join(map(quoted, wanted))} FROM {table} ORDER BY {', '.join(KEYS[table])}"
        rows = self.rows(select, [table], runs=_set_of_ids(run_ids))
        return to_pandas(rows.cast(pa.schema([schema.field(name) for name in wanted])))

    def query(self, sql: str) -> pd.DataFrame:
        """The result of ``sql`` over the views runs, trials, reports and nodes. Raises StoreError."""
        mentioned = [table for table in TABLES if re.search(rf"\b{table}\b", sql, re.IGNORECASE)]
        return to_pandas(self.rows(sql, mentioned))

    def rows(self, sql: str, tables: Sequence[str], *, runs: Collection[str] | None = None) -> pa.Table:
        """The result of ``sql`` over the views of ``tables``, of these ``runs`` alone if they are given.

        Raises StoreError if it is not a query.
        """

        def collect(connection: duckdb.DuckDBPyConnection) -> pa.Table:
            statements = connection.extract_statements(sql)
            if [statement.type.name for statement in statements] != ["SELECT"]:
                raise StoreError(f"give one query that returns rows, SELECT …; got {sql[:60]!r}")
            return pa.table(connection.sql(sql))

        return self.session(tables, collect, runs)

    def session(
        self,
        tables: Sequence[str],
        use: Callable[[duckdb.DuckDBPyConnection], T],
        runs: Collection[str] | None = None,
    ) -> T:
        """The result of ``use`` on a connection to duckdb with views of ``tables``."""

        def read(snapshot: Snapshot) -> T:
            with views.session(snapshot.tables, snapshot.manifest.removed_runs, only_runs=runs) as connection:
                return use(connection)

        return self.consistent(tables, read, runs)

    def consistent(
        self, tables: Sequence[str], read: Callable[[Snapshot], T], runs: Collection[str] | None = None
    ) -> T:
        """The result of ``read`` on a snapshot. It is repeated if the packed files changed meanwhile."""
        for _ in range(_TRIES):
            before = manifests.read(self.files)
            try:
                snapshot = self.snapshot(before, tables, runs)
                result = read(snapshot)
            except FileNotFoundError:  # packed meanwhile, or removed
                continue
            if manifests.read(self.files).generation == before.generation:
                self.warn(snapshot.faults)
                return result
        raise StoreError(f"the store {self.files.where} is being rewritten all the time; try again later")

    def snapshot(self, manifest: Manifest, tables: Collection[str], runs: Collection[str] | None = None) -> Snapshot:
        """The files that belong to ``manifest``, which must still be the store's when they have been read.

        With ``runs`` those alone that may hold rows of them.
        """
        found: dict[str, list[Part]] = {}
        faults: list[Fault] = []
        # Trials are listed once, and before reports: what is listed has its reports on disk already, and reports
        # that no trial listed has committed are still being written.
        committed = loose_names(self.files, manifest, "trials") if {"trials", "reports"} & set(tables) else set()
        for table in tables:
            loose = committed if table == "trials" else loose_names(self.files, manifest, table)
            if table == "reports":
                loose &= committed
            if runs is not None:
                loose = {name for name in loose if names.run_of(table, Path(name).stem) in runs}
            parts, broken = self.check(table, loose, manifest.packed.get(table, {}), runs)
            found[table] = parts
            faults += broken
        if manifests.is_lost(self.files, manifest, tables):
            faults.append(WITHOUT_MANIFEST)
        return Snapshot(manifest=manifest, tables=found, faults=faults)

    def warn(self, faults: Iterable[Fault]) -> None:
        """Warn of the files that are left out, with the reasons."""
        for fault in faults:
            warnings.warn(f"left out of {self.files.where}: {fault}", StoreWarning, stacklevel=3)

    def check(
        self, table: str, loose: Iterable[str], packed: Collection[str], runs: Collection[str] | None = None
    ) -> tuple[list[Part], list[Fault]]:
        """The table's sound files, and the faults of the others.

        With ``runs``, packed files that cannot hold rows of them are skipped.
        """
        present = set(self.files.names(table)) if packed else set()
        faults = [
            Fault(file=f"{table}/{name}", kind="missing", detail="the manifest names it")
            for name in sorted(set(packed) - present)
        ]
        parts: list[Part] = []
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for large, listed in ((False, sorted(loose)), (True, sorted(set(packed) & present))):
                paths = self.files.fetch(table, listed)
                if large and runs is not None:
                    paths = [path for path in paths if may_hold(path, runs)]
                # Hashing a large file leaves the interpreter's lock alone; with small ones threads would wait for it.
                side_by_side = pool.map if large else map
                verdicts = side_by_side(self._check, paths, [f"{table}/{path.name}" for path in paths])
                for path, verdict in zip(paths, verdicts, strict=True):
                    if isinstance(verdict, Fault):
                        faults.append(verdict)
                    else:
                        parts.append(Part(path=path, version=verdict, packed=large))
        return parts, faults

    def _check(self, path: Path, name: str) -> Fault | int:
        status = path.stat()
        key = (path, status.st_size, status.st_mtime_ns, status.st_ino)
        if key not in self._sound:
            verdict = stamp.check(path, name)
            if isinstance(verdict, Fault):
                return verdict
            self._sound[key] = verdict
        return self._sound[key]


def loose_names(files: Files, manifest: Manifest, table: str) -> set[str]:
    """The names of the table's files that are not packed and that no packed file stands for."""
    gone = set(manifest.replaced.get(table, ()))
    return {
        name for name in files.names(table) if not name.startswith((".", "_", manifests.PACKED)) and name not in gone
    }


def _set_of_ids(run_ids: Collection[str] | None) -> set[str] | None:
    """The ids as a set, whatever holds them: a DataFrame's column has no truth value, and its ``in`` asks the index."""
    if run_ids is None:
        return None
    if isinstance(run_ids, str):
        raise StoreError(f"run_ids is a collection of run ids, got the text {run_ids!r}; give [{run_ids!r}]")
    for run_id in run_ids:
        if not isinstance(run_id, str):
            raise StoreError(f"run_ids has {run_id!r}; a run id is a text, like those in store.runs().run_id")
    return set(run_ids)


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """``table`` as a DataFrame whose dtypes follow from its schema alone, never from its nulls.

    Integers are int64 if the schema allows no null, else pandas' Int64; booleans are pandas' ``boolean``; a null
    double is NaN; times are datetime64[us, UTC].
    """
    import pandas as pd

    nullable = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame = table.to_pandas(types_mapper=nullable.get)
    return frame.astype(
        {field.name: "int64" for field in table.schema if not field.nullable and field.type == pa.int64()}
    )
