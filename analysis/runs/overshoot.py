"""Runs that spent more than their budget, by the epoch that each of their trials was in."""

from __future__ import annotations

import pandas as pd

from tune_kd.formats import amount, percentage


def overshoot_notes(outcomes: pd.DataFrame) -> list[str]:
    """'spent beyond the budget of 50.0 Wh: grid 2.1 % in the mean, 3.0 % at most', a line for each comparison.

    ``outcomes`` are of :func:`analysis.runs.outcomes.run_outcomes`. Budgets in trials are met exactly.
    """
    lines = []
    counted = outcomes[outcomes["counted"] & (outcomes["overshoot"] > 0)]
    for _, mine in counted.groupby("comparison", sort=True):
        limit, currency = float(mine["budget_limit"].iloc[0]), str(mine["budget_currency"].iloc[0])
        # A policy's mean is over all of its runs: those within the budget are 0.
        everybody = outcomes[outcomes["counted"] & (outcomes["comparison"] == mine["comparison"].iloc[0])]
        shares = everybody["overshoot"].fillna(0.0).div(limit).groupby(everybody["label"], sort=False)
        told = [
            f"{label} {percentage(share.mean())} % in the mean, {percentage(share.max())} % at most"
            for label, share in shares
            if share.max() > 0
        ]
        lines.append(f"spent beyond the budget of {amount(limit, currency)}: {'; '.join(told)}")
    return lines
