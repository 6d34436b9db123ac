"""What the policies of a store reached and cost, and which of their differences are differences, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analysis.pages.provenance import teacher_notes
from analysis.rendering.table import Table
from analysis.runs.accounting import CURRENCIES
from analysis.runs.carbon import drives, sources
from analysis.runs.outcomes import notices
from analysis.runs.reading import Records
from analysis.summary import format_table, tabulate


def costs_and_verdicts(records: Records, policies: Sequence[str], order: str, recomputed: bool) -> list[Table]:
    """For each comparison what its policies reached and cost, then the verdicts, where two have several replicates."""
    costs = {_comparison(table): table for table in cost_tables(records, policies, order, recomputed)}
    judged = [name for name, table in costs.items() if (table.data["replicates"] > 1).sum() > 1]
    outcomes = records.outcomes[records.outcomes["comparison"].isin(judged)]
    found = verdict_tables(replace(records, outcomes=outcomes), policies, order) if judged else []
    verdicts = {_comparison(table): table for table in found}
    return [table for name in costs for table in (costs[name], verdicts.get(name)) if table is not None]


def _comparison(table: Table) -> int:
    return int(table.data["comparison"].iloc[0])


def cost_tables(records: Records, policies: Sequence[str], order: str, recomputed: bool) -> list[Table]:
    """What each policy reached and what it cost, a table for each comparison."""
    outcomes, trials = records.outcomes, records.trials
    tables = []
    for table in format_table(tabulate(outcomes, policies=policies), order=order, notes=notices(outcomes)):
        mine = outcomes[outcomes["comparison"] == table.data["comparison"].iloc[0]]
        teacher = teacher_notes(records.runs[records.runs["run_id"].isin(mine["run_id"])])
        carbon = sources(trials[trials["run_id"].isin(mine["run_id"])], recomputed)
        tables.append(replace(table, notes=[*table.notes, *teacher, *carbon, *drives(table.data)]))
    return tables


def verdict_tables(records: Records, policies: Sequence[str], order: str) -> list[Table]:
    """Which differences between the policies are differences, a table for each comparison."""
    from analysis.ranking import ranking_tables  # scipy: not before there is something to judge

    currency = order if order in CURRENCIES else "energy"
    tables = ranking_tables(records.outcomes, policies=policies, currency=currency, order=order)
    # What else there is to note stands under the costs.
    return [
        replace(table, title=f"{table.title} · verdicts", notes=table.notes[: _own_notes(table)]) for table in tables
    ]


def _own_notes(table: Table) -> int:
    """How many of a ranking's notes are about its verdicts: the legend, and of looks what was planned and spent."""
    return 3 if table.data["looks_of"].notna().any() else 1
