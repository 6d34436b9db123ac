"""What the policies of a store reached and cost, and which of their differences are differences, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analysis.pages.provenance import teacher_notes
from analysis.ranking import ranking_tables
from analysis.rendering.table import Table
from analysis.runs.accounting import CURRENCIES
from analysis.runs.carbon import drives, sources
from analysis.runs.outcomes import notices
from analysis.runs.reading import Records
from analysis.summary import format_table, tabulate


def costs_and_verdicts(records: Records, policies: Sequence[str], order: str, recomputed: bool) -> list[Table]:
    """For each comparison what its policies reached and cost, then the verdicts, where two have several replicates."""
    pairs = zip(
        cost_tables(records, policies, order, recomputed), verdict_tables(records, policies, order), strict=True
    )
    return [
        table
        for costs, verdicts in pairs
        for table in ((costs, verdicts) if (costs.data["replicates"] > 1).sum() > 1 else (costs,))
    ]


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
    currency = order if order in CURRENCIES else "energy"
    tables = ranking_tables(records.outcomes, policies=policies, currency=currency, order=order)
    # What else there is to note stands under the costs.
    return [replace(table, title=f"{table.title} · verdicts", notes=table.notes[:1]) for table in tables]
