"""Opening a store's Parquet files: the only place that gives their paths to another library.

A path is no data: a folder named ``seed=3`` is no value of the column ``seed``, and ``*`` in a name is no pattern.
By default every library here reads them as such.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from tune_kd.store.sql import literal

if TYPE_CHECKING:
    import duckdb


def relation(connection: duckdb.DuckDBPyConnection, name: str, paths: Sequence[str], *, opened: bool = False) -> str:
    """Files of the same columns as a relation of SQL, which may be called ``name`` in ``connection``.

    duckdb reads them by their paths. If it would read one as a pattern, or if they shall be ``opened``, pyarrow
    opens them, and duckdb gets no path. (duckdb can escape a pattern, but then lists every folder above the file.)
    """
    if opened or any(glob.escape(path) != path for path in paths):
        connection.register(name, data_set(paths))
        return name
    return f"read_parquet([{', '.join(map(literal, paths))}], hive_partitioning = false)"


def data_set(paths: Sequence[str]) -> ds.Dataset:
    """Files of the same columns, opened by pyarrow."""
    return ds.dataset(list(paths), format="parquet", filesystem=fs.LocalFileSystem(), partitioning=None)


def footer(path: Path) -> pq.FileMetaData:
    """A file's footer. Raises pyarrow's ArrowException, OSError."""
    with path.open("rb") as file:
        return pq.read_metadata(file)


def metadata(path: Path) -> dict[bytes, bytes]:
    """The key-value pairs in a file's footer."""
    pairs: dict[bytes, bytes] = footer(path).metadata or {}
    return pairs


def writer(where: Path | pa.NativeFile, schema: pa.Schema, **options: object) -> pq.ParquetWriter:
    """A writer of one file, at a path of this machine or into a sink."""
    system = fs.LocalFileSystem() if isinstance(where, Path) else None
    return pq.ParquetWriter(where, schema, filesystem=system, **options)
