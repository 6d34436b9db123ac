"""Tables on stdout, plain when it is not a terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

PIPED_WIDTH = 160


def show(*renderables: RenderableType) -> None:
    """Tables and texts on stdout; where that is no terminal, wide and without blanks at the ends of lines."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(*renderables, sep="\n")
        return
    if "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    with console.capture() as captured:
        console.print(*renderables, sep="\n")
    for line in captured.get().splitlines():
        print(line.rstrip())


def print_tables(
    runs: pd.DataFrame,
    trials: pd.DataFrame,
    nodes: pd.DataFrame,
    *,
    policies: Sequence[str] = (),
    order: str = "energy",
    form: str = "table",
) -> None:
    """The ranking of the policies in these records, in one of the forms of :data:`tune_kd.cli.choices.FORMATS`."""
    from analysis.summary import summary_tables
    from analysis.table import render, rich_table

    tables = summary_tables(runs, trials, nodes, policies=policies, order=order)
    if form != "table":
        print(render(tables, form).rstrip("\n"))
        return
    for place, table in enumerate(tables):
        if place:
            print()
        show(rich_table(table))
