"""A run's record as listings: every column that has a value, with its unit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tune_kd import formats
from tune_kd.store.columns import NODES, RUNS, Column
from tune_kd.store.reading.plain_rows import plain_rows
from tune_kd.store.reading.run_list import RunRecord
from tune_kd.terminal.listing import Listing


def listings(record: RunRecord) -> Iterator[Listing]:
    """The run's own row, its trials, and its nodes."""
    yield _fields("run", record.run, RUNS)
    if len(record.trials):
        val, test = (
            f"{formats.score_name(part, record.run['metric'] or formats.UNNAMED)} %" for part in ("val", "test")
        )
        yield Listing(
            headers=("trial", "attempt", "status", "with", "epochs", val, test, "energy", "took"),
            rows=[_trial(row) for row in plain_rows(record.trials)],
            least=("attempt", "took", "epochs", val),
        )
    for row in plain_rows(record.nodes):
        yield _fields("node", row, NODES)


def _fields(what: str, row: Mapping[str, Any], columns: Sequence[Column]) -> Listing:
    known = [column for column in columns if column.name != "schema_version" and row[column.name] is not None]
    return Listing(headers=(what, ""), rows=[(column.name, _value(row[column.name], column.unit)) for column in known])


def _value(value: object, unit: str) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    # A fraction needs no unit, and a budget's is its currency, which has a row of its own.
    return shown if unit in ("", "fraction", "currency") else f"{shown} {unit}"


def _trial(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["trial_id"].rpartition("-")[2],
        str(row["attempt"]),
        row["status"] if row["diverged_epoch"] is None else f"{row['status']}, diverged in {row['diverged_epoch']}",
        formats.params(json.loads(row["params_json"] or "{}"), row["tau"], row["tau"]),
        str(row["epochs"]),
        formats.percentage(row["val_score"]),
        formats.percentage(row["test_score"]),
        formats.energy(row["energy_j"]),
        formats.duration(row["duration_s"]),
    )
