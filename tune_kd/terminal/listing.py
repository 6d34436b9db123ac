"""Rows of text under their headers, and the same as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tune_kd.terminal.table import FittedTable

SHORT = 20  # characters of a cell that stays whole


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Rows of text under their headers, ``gap`` blanks between; the first column names what the others describe.

    ``least`` are the headers of what goes first where a terminal is narrow, then the rest, from the right.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    gap: int = 2
    least: Sequence[str] = ()


def table_of(listing: Listing) -> FittedTable:
    """The listing for a terminal, fitted to its width when it is printed."""
    from tune_kd.terminal.table import Column, FittedTable

    columns = []
    for place, header in enumerate(listing.headers):
        cells = [row[place] for row in listing.rows]
        # Where it is narrow, names and long texts wrap; short words beside them stay whole.
        words = place == 0 or any(len(cell) > SHORT for cell in cells)
        columns.append(Column(header=header, cells=cells, words=words))
    return FittedTable(
        columns=columns, least=[listing.headers.index(header) for header in listing.least], gap=listing.gap
    )
