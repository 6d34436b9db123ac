"""Tables on stdout, plain when it is not a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tune_kd.cli.app import say
from tune_kd.terminal.streams import OutputError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from analysis.rendering.table import Table
    from analysis.runs.reading import Records
    from tune_kd.api.reports import Report

PIPED_WIDTH = 160
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


def print_tables(records: Records, policies: Sequence[str]) -> None:
    """The ranking of these policies, in the order in which they were named where nothing else decides."""
    from analysis.pages.costs_and_verdicts import costs_and_verdicts

    show_tables(costs_and_verdicts(records, policies, "energy", False))


def print_report(report: Report, form: str) -> None:
    """A report in one of the forms of :data:`tune_kd.cli.choices.FORMATS`; machines get its notes on stderr."""
    if form == "table":
        show_tables(report.tables)
        return
    print(report.text(form))
    for note in report.notes if form in MACHINE_FORMS else ():
        say(note)


def show_tables(tables: Sequence[Table]) -> None:
    """Tables with a blank line between."""
    from analysis.rendering.table import rich_table

    for place, table in enumerate(tables):
        if place:
            print()
        show(rich_table(table))
