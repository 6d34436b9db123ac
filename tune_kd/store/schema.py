"""The Arrow schemas of the store's tables, rows as Arrow tables, and the document of both.

``python -m tune_kd.store.schema > docs/schema.md`` writes the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from tune_kd.errors import StoreError, nearest
from tune_kd.store.columns import RUN_STATUSES, SCHEMA_VERSION, TABLES, TRIAL_STATUSES, Column

_SCORES = pa.struct([("precision", pa.float64()), ("recall", pa.float64()), ("f1", pa.float64())])
_BIN = pa.struct([("images", pa.int64()), ("accuracy", pa.float64()), ("confidence", pa.float64())])
_ARROW = {
    "string": pa.string(),
    "int": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
    "counts": pa.list_(pa.list_(pa.int64())),
    "scores": pa.list_(_SCORES),
    "bins": pa.list_(_BIN),
    "matrix": pa.list_(pa.list_(pa.float64())),
    "maps": pa.list_(pa.list_(pa.list_(pa.float64()))),
}
_STATUSES = {"runs": RUN_STATUSES, "trials": TRIAL_STATUSES}


def _field(column: Column) -> pa.Field:
    return pa.field(
        column.name,
        _ARROW[column.type],
        nullable=not column.required,
        metadata={"unit": column.unit, "meaning": column.meaning},
    )


SCHEMAS: dict[str, pa.Schema] = {
    table: pa.schema([_field(column) for column in columns]) for table, columns in TABLES.items()
}


def to_table(table: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """``rows`` in the table's schema, null if a row leaves a column out. Raises StoreError."""
    stamped = [{**row, "schema_version": SCHEMA_VERSION} for row in rows]
    known = {column.name for column in TABLES[table]}
    for row in stamped:
        for name in row.keys() - known:
            raise StoreError(f"{table} has no column {name!r}; {nearest(name, known)}")
    arrays = [_array(table, column, [row.get(column.name) for row in stamped]) for column in TABLES[table]]
    return pa.Table.from_arrays(arrays, schema=SCHEMAS[table])


def _array(table: str, column: Column, values: list[Any]) -> pa.Array:
    if column.required and any(value is None for value in values):
        raise StoreError(f"{table}.{column.name} must not be null")
    allowed = _STATUSES.get(table, ()) if column.name == "status" else ()
    for value in values if allowed else ():
        if value not in allowed:
            raise StoreError(f"{table}.status must be one of {', '.join(allowed)}, got {value!r}")
    try:
        if column.type == "double":  # Arrow refuses an int beyond 2⁵³ here, which a count of FLOPs may be
            values = [None if value is None else float(value) for value in values]
        return pa.array(values, type=_ARROW[column.type])
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise StoreError(f"{table}.{column.name} must be {column.type}: {error}") from None


def document() -> str:
    """The reference of the schema, in Markdown."""
    tables = "".join(_section(table) for table in TABLES)
    return f"{_INTRODUCTION.format(version=SCHEMA_VERSION)}{tables}{_FILES}"


def _section(table: str) -> str:
    lines = (
        f"| `{column.name}`{'*' if column.required else ''} | {_ARROW[column.type]} "
        f"| {column.unit or '—'} | {column.meaning} |\n"
        for column in TABLES[table]
    )
    head = "| column | type | unit | meaning |\n|---|---|---|---|\n"
    return f"\n## {table}\n\n{_ROW[table]}\n\n{head}{''.join(lines)}"


_INTRODUCTION = """\
# The store's tables

Schema version {version}. Made by `python -m tune_kd.store.schema > docs/schema.md`; a test keeps it current. Every
Parquet file carries the same units and meanings in its fields' metadata.

Base units: J, g, s, FLOP, bytes; accuracies are fractions of 1; times are UTC at µs; durations come from a monotonic
clock. Null means not measured, or that the column does not apply; it is never written as 0. Columns marked * are in
every row. FLOPs are doubles: exact up to 2⁵³, and their sums do not wrap around.
"""

_ROW = {
    "runs": "One row a run.",
    "trials": "One row an attempt at a trial, once it has ended: (`trial_id`, `attempt`) tells it from all others.",
    "reports": "One row an epoch of an attempt; costs are cumulative over the attempt.",
    "nodes": "One row a node of a run: hardware, software, metering.",
}

_FILES = """
## Files

A store is a folder, or a URL such as `s3://bucket/prefix`, marked by `tune-kd-store.json`. Each table is a folder of
Parquet files, which every reader opens in one line:

```python
import duckdb, pandas as pd, polars as pl, pyarrow.dataset as ds, pyarrow.parquet as pq

pd.read_parquet("runs/trials", partitioning=None)
pl.read_parquet("runs/trials", hive_partitioning=False, glob=False)
pq.read_table("runs/trials", partitioning=None)
duckdb.from_arrow(ds.dataset("runs/trials", partitioning=None))
```

The options are needed: without them a folder named `seed=3` above the store may stand as data in the column `seed`, and
`*`, `?` or `[` in a folder's name may match other folders' files. duckdb by itself reads
`FROM read_parquet('runs/trials/*.parquet', hive_partitioning = false)`, where the path has no such character and no
backslash but for this `*`. A plain reader takes the columns from one of the files. In a store that an earlier schema
began, run `tune-kd store compact` first: all files of ended runs then have today's columns. `open_store` reads it as it
is.

| file | what it is |
|---|---|
| `runs/{run_id}.parquet`, `nodes/{run_id}-{hash of node_id}.parquet` | one row, replaced as a whole when it changes |
| `reports/{trial_id}-{attempt}.parquet` | an attempt's reports, written when it ends |
| `trials/{trial_id}-{attempt}.parquet` | the attempt's row, written after its reports: the commit |
| `{table}/packed-….parquet` | many rows, made by compaction or merging; they count once `_manifest.json` names them |
| `_journal/`, `_leases/`, `_staging/` | what is under way; of a store at a URL they lie in the driver's cache |

Every Parquet file carries the SHA-256 of its own bytes in its footer (`tune-kd:sha256`, taken with its own 64
characters as zeros), and its own name (`tune-kd:file`); a packed one also a digest of its rows as they were sealed
(`tune-kd:rows`), by which `tune-kd store verify` compares what is packed with what was sealed. `tune_kd.open_store`
checks checksum and name, says which files it leaves out, and never sees a compaction half done; a plain `*.parquet`
sees rows twice while small files are being deleted, and the old row of a run that was written again after it was
packed, until the next compaction.
"""


if __name__ == "__main__":
    print(document(), end="")
