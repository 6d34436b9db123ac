"""A store's tables as views of duckdb."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.errors import StoreError
from tune_kd.store.schema import SCHEMAS

if TYPE_CHECKING:
    import duckdb

_SETTINGS = {"TimeZone": "UTC", "autoinstall_known_extensions": False}  # a query never fetches anything

REWRITTEN = {"runs": "run_id", "nodes": "run_id || '-' || left(sha256(node_id), 12)"}
"""Of the tables whose files may be written again after they were packed: the file's stem, from a row's columns."""


@dataclass(frozen=True, kw_only=True, order=True)
class Part:
    """One sound file of a table."""

    packed: bool
    version: int  # of its schema
    path: Path


@contextmanager
def session(
    tables: Mapping[str, Sequence[Part]],
    removed_runs: Iterable[str] = (),
    *,
    only_runs: Collection[str] | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with a view of each table. Within, duckdb's errors become StoreError, or FileNotFoundError."""
    import duckdb

    with duckdb.connect(config=_SETTINGS) as connection:
        try:
            for table, parts in tables.items():
                union = _union(connection, table, parts)
                connection.execute(f"CREATE VIEW {table} AS {_of_runs(union, removed_runs, only_runs)}")
            yield connection
        except duckdb.Error as error:
            paths = [part.path for parts in tables.values() for part in parts]
            if isinstance(error, duckdb.IOException) and not all(path.exists() for path in paths):
                raise FileNotFoundError(str(error)) from error
            raise StoreError(f"cannot run this query: {str(error).splitlines()[0]}") from error


def _of_runs(select: str, removed: Iterable[str], only: Collection[str] | None) -> str:
    """The rows of ``select`` without those of removed runs, and of the named ones ``only``."""
    rules = [f"run_id NOT IN {listed(removed)}"] if removed else []
    rules += [] if only is None else [f"run_id IN {listed(only)}" if only else "false"]
    return f"SELECT * FROM ({select}) WHERE {' AND '.join(rules)}" if rules else select


def _union(connection: duckdb.DuckDBPyConnection, table: str, parts: Sequence[Part]) -> str:
    # Files of one schema version have the same columns, so duckdb need not open them all to learn them.
    groups = groupby(sorted(parts), key=lambda part: (part.packed, part.version))
    selects = []
    for (packed, _), group in groups:
        select = _select(connection, table, [str(part.path) for part in group])
        newer = [part.path.stem for part in parts if not part.packed] if packed and table in REWRITTEN else []
        selects.append(select + (f" WHERE {REWRITTEN[table]} NOT IN {listed(newer)}" if newer else ""))
    if not selects:
        connection.register(f"empty_{table}", SCHEMAS[table].empty_table())
        selects = [f"SELECT * FROM empty_{table}"]
    return " UNION ALL ".join(selects)


def _select(connection: duckdb.DuckDBPyConnection, table: str, paths: list[str]) -> str:
    """Today's columns of the table from files of one version: null where that version did not have one."""
    connection.register("today", SCHEMAS[table].empty_table())
    types = _columns(connection, "today")
    known = _columns(connection, f"read_parquet({literal(paths[0])})")
    columns = (quoted(name) if name in known else f"NULL::{kind} AS {quoted(name)}" for name, kind in types.items())
    return f"SELECT {', '.join(columns)} FROM read_parquet([{', '.join(map(literal, paths))}])"


def _columns(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}


def quoted(name: str) -> str:
    """``name`` as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """``text`` as a string of SQL."""
    return "'" + text.replace("'", "''") + "'"


def listed(texts: Iterable[str]) -> str:
    """``texts`` as the right side of SQL's IN."""
    return f"({', '.join(map(literal, texts))})"
