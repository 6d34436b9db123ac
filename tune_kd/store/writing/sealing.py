"""Sealing: an attempt's journal becomes its rows in Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune_kd.store.files import names, stamp
from tune_kd.store.files.local_files import Files
from tune_kd.store.schema import to_table
from tune_kd.store.writing.fold import Attempt


def encode(attempt: Attempt) -> dict[str, bytes]:
    """The files of an attempt by name, in the order to write them: the trial's row last, which is the commit.

    Written again after a crash in the middle they are the same. Raises StoreError if a row does not fit.
    """
    key = (attempt.trial["trial_id"], attempt.trial["attempt"])
    rows = {"reports": attempt.reports, "trials": [attempt.trial]}
    files = {table: names.attempt_file(table, *key) for table in rows if rows[table]}
    return {name: stamp.encode(to_table(table, rows[table]), name) for table, name in files.items()}


def put_rows(files: Files, table: str, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of one file of ``table``, atomically."""
    files.put(name, stamp.encode(to_table(table, rows), name))


def put_all(files: Files, encoded: Mapping[str, bytes]) -> None:
    """Write files one after the other, each atomically."""
    for name, data in encoded.items():
        files.put(name, data)
