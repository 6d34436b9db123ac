"""Export of a store's tables as CSV or as JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.errors import InputError, unknown
from tune_kd.store.columns import KEYS, NESTED, TABLES, Column
from tune_kd.store.reading.reader import Reader
from tune_kd.store.sql import literal, quoted

if TYPE_CHECKING:
    import duckdb

_COPY = {"csv": "FORMAT csv, HEADER", "jsonl": "FORMAT json"}


def export(reader: Reader, folder: Path, form: str = "csv") -> list[Path]:
    """Write each table to ``folder``, as ``runs.csv``, or ``runs.jsonl``, and so on; the files written.

    Times are ISO 8601 in UTC. A null is an empty field of CSV and ``null`` in JSON, in which a loss that is not a
    number is the text ``NaN``. Nested values are JSON in a field of CSV. Raises InputError for another format, or if a
    file is there already.
    """
    if form not in _COPY:
        raise unknown("export format", form, _COPY)
    targets = {table: folder / f"{table}.{form}" for table in TABLES}
    for target in targets.values():
        if target.exists():
            raise InputError(f"{target} is there already; give another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot export to {folder}: {error.strerror}; give a folder that can be written") from None

    def copy(connection: duckdb.DuckDBPyConnection) -> list[Path]:
        for table, target in targets.items():
            columns = ", ".join(_expression(column, form) for column in TABLES[table])
            select = f"SELECT {columns} FROM {table} ORDER BY {', '.join(KEYS[table])}"
            connection.execute(f"COPY ({select}) TO {literal(str(target))} ({_COPY[form]})")
        return list(targets.values())

    return reader.session(list(TABLES), copy)


def _expression(column: Column, form: str) -> str:
    name = quoted(column.name)
    if column.type == "time":
        return f"strftime({name} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ') AS {name}"
    if form == "jsonl" and column.type == "double":  # JSON has no NaN: as text, as protobuf does it
        text = f"CASE WHEN isnan({name}) THEN 'NaN' WHEN {name} > 0 THEN 'Infinity' ELSE '-Infinity' END"
        return f"CASE WHEN {name} IS NULL OR isfinite({name}) THEN to_json({name}) ELSE to_json({text}) END AS {name}"
    if form == "csv" and column.type in NESTED:
        return f"to_json({name}) AS {name}"
    return name
