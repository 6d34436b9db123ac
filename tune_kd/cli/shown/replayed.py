"""``report --budget``: the same records as they would rank if every run had spent no more than that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tune_kd.cli.app import say
from tune_kd.cli.shown.ranking_tables import MACHINE_FORMS, show

if TYPE_CHECKING:
    from analysis.runs.reading import Records


def print_replay(records: Records, budget: str, *, order: str, form: str, recomputed: bool) -> None:
    """The ranking at ``budget``; ``records`` with their epochs. Forms for machines get their notes on stderr.

    ``recomputed`` says that the CO2e is not as recorded. Raises InputError.
    """
    from analysis.rendering.table import render, rich_table
    from analysis.runs import replay
    from analysis.runs.carbon import sources
    from tune_kd.budget.amount import parse_budget

    limit = parse_budget(budget)
    done = replay.replay(records.runs, records.trials, records.reports, currency=limit.currency, limit=limit.limit)
    carbon = sources(done.trials, recomputed) if recomputed else []
    tables = [
        replace(table, notes=[*table.notes, *carbon]) for table in replay.tables(done, records.nodes, order=order)
    ]
    if form != "table":
        print(render(tables, form).rstrip("\n"))
        for note in dict.fromkeys(note for table in tables for note in table.notes) if form in MACHINE_FORMS else ():
            say(note)
        return
    for place, table in enumerate(tables):
        if place:
            print()
        show(rich_table(table))
