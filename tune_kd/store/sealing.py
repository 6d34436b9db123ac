"""Sealing: an attempt's journal becomes its rows in Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tune_kd.events import Event
from tune_kd.store import names, stamp
from tune_kd.store.files import Files
from tune_kd.store.fold import Attempt, fold
from tune_kd.store.schema import to_table


def commit(files: Files, events: Iterable[Event]) -> Attempt:
    """Write an attempt's reports, then its trial row, which is the commit. Repeatable after a crash in the middle."""
    attempt = fold(events)
    key = (attempt.trial["trial_id"], attempt.trial["attempt"])
    if attempt.reports:
        put_rows(files, "reports", names.attempt_file("reports", *key), attempt.reports)
    put_rows(files, "trials", names.attempt_file("trials", *key), [attempt.trial])
    return attempt


def put_rows(files: Files, table: str, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of one file of ``table``, atomically."""
    files.put(name, stamp.encode(to_table(table, rows), name))
