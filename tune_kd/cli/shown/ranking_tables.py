"""Tables on stdout, plain when it is not a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tune_kd.cli.app import say
from tune_kd.terminal.streams import OutputError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from analysis.runs.reading import Records
    from tune_kd.terminal.table import FittedTable

PIPED_WIDTH = 160
SHORT = 20
MACHINE_FORMS = ("csv", "json")


def show(*renderables: RenderableType) -> None:
    """Tables and texts on stdout; where that is no terminal, wide and without blanks at the ends of lines."""
    console = _console()
    if console.is_terminal:
        console.print(*renderables, sep="\n")
        return
    with console.capture() as captured:
        console.print(*renderables, sep="\n")
    for line in captured.get().splitlines():
        print(line.rstrip())


def width() -> int:
    """How many columns there are for :func:`show`."""
    return _console().width


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    return console


def print_json(document: Any) -> None:
    """One JSON document on stdout, in characters that its encoding has."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(document, indent=2, ensure_ascii=not utf8))


@contextmanager
def records_in(store: str) -> Iterator[None]:
    """Where what is printed within cannot be written, the OutputError says that the records are in ``store``."""
    try:
        yield
        sys.stdout.flush()
    except OutputError as error:
        text = f"{error.reason}; all records are in {store}, and tune-kd report shows them"
        raise OutputError(text, broken_pipe=error.broken_pipe) from None


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


def print_tables(
    records: Records,
    *,
    policies: Sequence[str] = (),
    order: str = "energy",
    form: str = "table",
    recomputed: bool = False,
) -> None:
    """The ranking of the policies in these records, in one of the forms of :data:`tune_kd.cli.choices.FORMATS`.

    ``recomputed`` says that their CO2e is not as recorded. The forms for machines have one table a comparison, with
    costs and verdicts side by side.
    """
    from analysis.pages.costs_and_verdicts import costs_and_verdicts, verdict_tables
    from analysis.rendering.table import render, rich_table
    from analysis.runs.carbon import sources

    if form in MACHINE_FORMS:
        print(render(verdict_tables(records, policies, order), form).rstrip("\n"))
        for line in sources(records.trials, recomputed) if recomputed else ():
            say(line)
        return
    tables = costs_and_verdicts(records, policies, order, recomputed)
    if form != "table":
        print(render(tables, form).rstrip("\n"))
        return
    for place, table in enumerate(tables):
        if place:
            print()
        show(rich_table(table))
