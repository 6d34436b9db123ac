"""``report --budget``: the same records as they would rank if every run had spent no more than that."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_kd.cli.app import say
from tune_kd.cli.tables import MACHINE_FORMS, show
from tune_kd.house import HOUSE

if TYPE_CHECKING:
    from analysis.script import Records


def adapting(folder: Path = HOUSE / "policies") -> frozenset[str]:
    """The policies whose class, or one that it extends, says that it adapts to results.

    Read from their source: to ask the classes would load Ray, and a report must not.
    """
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in folder.glob("*.py"))
    classes = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}

    def said(name: str, field: str) -> Any:
        own = [part.value for part in classes[name].body if isinstance(part, ast.AnnAssign) and _named(part, field)]
        if own and isinstance(own[0], ast.Constant):
            return own[0].value
        parents = (base.id for base in classes[name].bases if isinstance(base, ast.Name) and base.id in classes)
        return next((found for parent in parents if (found := said(parent, field)) is not None), None)

    return frozenset(str(said(name, "name")) for name in classes if said(name, "name") and said(name, "adapts"))


def _named(part: ast.AnnAssign, field: str) -> bool:
    return isinstance(part.target, ast.Name) and part.target.id == field


def print_replay(records: Records, budget: str, *, order: str, form: str, recomputed: bool) -> None:
    """The ranking at ``budget``; ``records`` with their epochs. Forms for machines get their notes on stderr.

    ``recomputed`` says that the CO2e is not as recorded. Raises InputError.
    """
    from analysis import replay
    from analysis.table import render, rich_table
    from tune_kd.budget import parse_budget
    from tune_kd.cli.footprint import sources

    limit = parse_budget(budget)
    done = replay.replay(records.runs, records.trials, records.reports, currency=limit.currency, limit=limit.limit)
    carbon = sources(done.trials, recomputed) if recomputed else []
    tables = [
        replace(table, notes=[*table.notes, *carbon])
        for table in replay.tables(done, records.nodes, adapting=adapting(), order=order)
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
