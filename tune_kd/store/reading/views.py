"""A store's tables as views of duckdb."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from tune_kd.errors import StoreError
from tune_kd.store.columns import BEFORE
from tune_kd.store.files import parquet, rows
from tune_kd.store.schema import SCHEMAS
from tune_kd.store.sql import listed, quoted

if TYPE_CHECKING:
    import duckdb

_SETTINGS = {
    "TimeZone": "UTC",
    "autoinstall_known_extensions": False,  # a query never fetches anything
    "enable_external_file_cache": False,  # nothing of a file is kept from one session to the next
}

_ROWS_AT_ONCE = 50_000

REWRITTEN = {"runs": "run_id", "nodes": "run_id || '-' || left(sha256(node_id), 12)"}
"""Of the tables whose files may be written again after they were packed: the file's stem, from a row's columns."""


@dataclass(frozen=True, kw_only=True, order=True)
class Part:
    """One sound file of a table."""

    packed: bool
    version: int  # of its schema
    path: Path


@cache
def _database(process: int) -> duckdb.DuckDBPyConnection:
    """The database in memory that all sessions of a process connect to. It is empty: what a session makes is temporary.

    Making a database takes 20 ms of CPU, and a connection to it next to none. A forked process makes its own, for it
    has none of its parent's threads.
    """
    import duckdb

    return duckdb.connect(config=_SETTINGS)


@contextmanager
def session(
    tables: Mapping[str, Sequence[Part]],
    removed_runs: Iterable[str] = (),
    *,
    only_runs: Collection[str] | None = None,
    opened: bool = False,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with a view of each table. Within, duckdb's errors become StoreError, or FileNotFoundError.

    With ``opened``, duckdb reads no file by its path: see :func:`tune_kd.store.files.parquet.relation`.
    """
    import duckdb

    with _database(os.getpid()).cursor() as connection:
        try:
            for table, parts in tables.items():
                union = _union(connection, table, parts, opened)
                connection.execute(f"CREATE TEMP VIEW {table} AS {_of_runs(union, removed_runs, only_runs)}")
            yield connection
        except duckdb.Error as error:
            if isinstance(error, (duckdb.FatalException, duckdb.InternalException)):
                _database.cache_clear()  # duckdb refuses all further work on that database
            paths = [part.path for parts in tables.values() for part in parts]
            if not all(path.exists() for path in paths):
                raise FileNotFoundError(str(error)) from error
            raise StoreError(f"cannot run this query: {str(error).splitlines()[0]}") from error


def _of_runs(select: str, removed: Iterable[str], only: Collection[str] | None) -> str:
    """The rows of ``select`` without those of removed runs, and of the named ones ``only``."""
    rules = [f"run_id NOT IN {listed(removed)}"] if removed else []
    rules += [] if only is None else [f"run_id IN {listed(only)}" if only else "false"]
    return f"SELECT * FROM ({select}) WHERE {' AND '.join(rules)}" if rules else select


def stream(
    table: str,
    parts: Sequence[Part],
    without_runs: Sequence[str] = (),
    *,
    order: Sequence[str] = (),
    opened: bool = False,
) -> Iterator[pa.Table]:
    """The rows of some files, but for those of some runs, a few at a time, in the table's schema."""
    select = f"SELECT * FROM {table}" + (f" ORDER BY {', '.join(order)}" if order else "")
    with session({table: parts}, without_runs, opened=opened) as connection:
        reader = pa.RecordBatchReader.from_stream(connection.sql(select))
        waiting, count = [], 0
        for batch in reader:  # of small files each is one
            waiting.append(batch)
            count += len(batch)
            if count >= _ROWS_AT_ONCE:
                yield pa.Table.from_batches(waiting).cast(SCHEMAS[table])
                waiting, count = [], 0
        yield pa.Table.from_batches(waiting, reader.schema).cast(SCHEMAS[table])


def digest(table: str, parts: Sequence[Part], without_runs: Sequence[str] = (), *, opened: bool = False) -> int:
    """The digest of the rows that :func:`stream` yields."""
    return sum(map(rows.digest, stream(table, parts, without_runs, opened=opened))) % rows.MODULUS


def _union(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    parts: Sequence[Part],
    opened: bool,
) -> str:
    # Files of one schema version have the same columns, so duckdb need not open them all to learn them.
    groups = groupby(sorted(parts), key=lambda part: (part.packed, part.version))
    selects = []
    for (packed, version), group in groups:
        name = f"opened_{table}_{'packed' if packed else 'loose'}_{version}"
        source = parquet.relation(connection, name, [str(part.path) for part in group], opened=opened)
        select = _select(connection, table, source, BEFORE.get(version, {}))
        newer = [part.path.stem for part in parts if not part.packed] if packed and table in REWRITTEN else []
        selects.append(select + (f" WHERE {REWRITTEN[table]} NOT IN {listed(newer)}" if newer else ""))
    if not selects:
        connection.register(f"empty_{table}", SCHEMAS[table].empty_table())
        selects = [f"SELECT * FROM empty_{table}"]
    return " UNION ALL ".join(selects)


def _select(connection: duckdb.DuckDBPyConnection, table: str, source: str, before: Mapping[str, str]) -> str:
    """Today's columns of the table from files of one version.

    A column that the version did not have is what it had ``before`` in its place, or null.
    """
    connection.register("today", SCHEMAS[table].empty_table())
    types = _columns(connection, "today")
    known = _columns(connection, source)
    columns = (
        quoted(name) if name in known else f"{before.get(name, 'NULL')}::{kind} AS {quoted(name)}"
        for name, kind in types.items()
    )
    return f"SELECT {', '.join(columns)} FROM {source}"


def _columns(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
