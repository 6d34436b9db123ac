"""A table as text: Markdown, LaTeX, CSV, JSON, or rich for a terminal.

CSV and JSON carry the numbers in base units, for machines; the other forms carry the rounded text, for people.
Nothing is computed here. What is missing is an em dash.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from tune_kd import errors
from tune_kd.formats import MISSING, percentage

if TYPE_CHECKING:
    from tune_kd.terminal.table import FittedTable

FORMATS = ("md", "latex", "csv", "json")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Text to show (``rows`` of ``headers``) over the numbers it was made from (``data``, base units)."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: pd.DataFrame
    notes: Sequence[str] = ()
    text_columns: int = 1  # that many columns, from the left, hold words; the rest numbers, set to the right
    sections: frozenset[int] = field(default_factory=frozenset)  # rows that end a section
    caption: str = ""  # in a paper, in place of the title: what is in it, of how many replicates, by which method
    least: Sequence[str] = ()  # headers of what goes first where a terminal is narrow; then the rest, from the right

    def __post_init__(self) -> None:
        if wrong := [row for row in self.rows if len(row) != len(self.headers)]:
            raise ValueError(f"{len(self.headers)} headers, but a row of {len(wrong[0])}: {wrong[0]}")


def number(value: float | None, digits: int = 3) -> str:
    """``value`` at ``digits`` significant digits without an exponent where that is readable, or an em dash."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if not -4 < magnitude < 7:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(digits - 1 - magnitude, 0)}f}"


def plus_minus(mean: float, std: float, digits: int = 1) -> str:
    """Mean and standard deviation of fractions, in percent: '90.9 ±1.5', or the mean alone."""
    spread = f" ±{percentage(std, digits)}" if math.isfinite(std) else ""
    return f"{percentage(mean, digits)}{spread}"


def as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as dicts by column name."""
    return cast("list[dict[str, Any]]", frame.to_dict("records"))


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame for JSON: numbers with all their digits, times in ISO 8601, null for what has no value."""
    return [{name: _plain(value) for name, value in row.items()} for row in as_rows(frame)]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(one) for one in value]
    if value is None or pd.isna(value) or (isinstance(value, float) and math.isinf(value)):
        return None
    if isinstance(value, np.generic):
        return value.item()
    return value.isoformat() if isinstance(value, datetime) else value


def render(tables: Table | Sequence[Table], form: str) -> str:
    """One or several tables as text of the ``form`` md, latex, csv or json.

    Raises InputError for another form.
    """
    check_form(form)
    tables = [tables] if isinstance(tables, Table) else list(tables)
    if form == "json":
        return "[" + ",\n".join(json.dumps(plain(table.data), ensure_ascii=False) for table in tables) + "]"
    if form == "csv":
        return one_frame(tables).to_csv(index=False).removesuffix("\n")
    if form == "latex":
        from analysis.rendering.latex import floats

        return "\n\n".join(floats(tables))
    return "\n\n".join(map(markdown, tables))


def one_frame(tables: Sequence[Table]) -> pd.DataFrame:
    """The numbers of several tables as one; where their columns differ, the first one names the table."""
    frames = [table.data for table in tables]
    if len({tuple(frame.columns) for frame in frames}) > 1:
        frames = [table.data.assign(table=table.title) for table in tables]
        frames = [frame[["table", *frame.columns.drop("table")]] for frame in frames]
    # As objects, so that a column that one table lacks does not change what the others print.
    return pd.concat([frame.astype(object) for frame in frames], ignore_index=True) if frames else pd.DataFrame()


def check_form(form: str) -> None:
    """Raises InputError for a form that is none."""
    if form not in FORMATS:
        raise errors.unknown("format", form, FORMATS)


def markdown(table: Table) -> str:
    """A GitHub pipe table with its title above and its notes below."""
    lines = [f"**{table.title}**", "", pipes(table.headers, table.rows, table.text_columns)]
    return "\n".join([*lines, *(f"\n{note}" for note in table.notes)])


def pipes(headers: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    """Rows as a GitHub pipe table; that many columns, from the left, hold words."""
    rule = ["---" if i < text_columns else "---:" for i in range(len(headers))]
    body = [headers, rule, *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in body)


def rich_table(table: Table) -> FittedTable:
    """The table for a terminal, fitted to its width when it is printed."""
    from tune_kd.terminal.table import Column, FittedTable

    columns = [
        Column(
            header=header,
            cells=[row[place] for row in table.rows],
            words=place < table.text_columns,
            right=place >= table.text_columns,
        )
        for place, header in enumerate(table.headers)
    ]
    return FittedTable(
        columns=columns,
        least=[table.headers.index(header) for header in table.least],
        title=table.title,
        notes=table.notes,
        ruled=True,
        sections=table.sections,
    )
