"""Policies whose trials ran beside more, or fewer, other trials than those of another policy, or as one with them."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

MOST = 0.5
"""By how many co-tenants in the mean two policies may differ before the report says so."""


def company_notes(outcomes: pd.DataFrame) -> list[str]:
    """The lines of both kinds for each comparison in which policies differ by more than :data:`MOST`.

    ``outcomes`` are of :func:`analysis.runs.outcomes.run_outcomes`. A trial's co-tenants are the most other processes
    with trials that were on its node with it. Where energy is modelled they change what is charged, so that costs are
    then not alike. Trials that one process trained side by side cost less each than they would have alone.
    """
    lines = []
    for least, most, of_policy in _apart(outcomes, "co_tenants"):
        lines.append(
            f"trials ran in different company: in the mean {of_policy[most]:.1f} others beside those of {most} and "
            f"{of_policy[least]:.1f} beside those of {least}; modelled idle and RAM energy is split among all that "
            f"run, and --max-concurrent 1 measures without company"
        )
    for least, most, of_policy in _apart(outcomes, "side_by_side"):
        lines.append(
            f"trials were trained side by side, in the mean {of_policy[most]:.1f} as one of {most} and "
            f"{of_policy[least]:.1f} of {least}: together each costs less; --side-by-side 1 trains each alone"
        )
    return lines


def _apart(outcomes: pd.DataFrame, column: str) -> Iterator[tuple[str, str, pd.Series]]:
    """By comparison the policies with the least and the most in a column, where they differ, and the mean of each."""
    ranked = outcomes[outcomes["counted"]]
    for comparison in ranked["comparison"].unique():
        of_policy = ranked[ranked["comparison"] == comparison].groupby("label")[column].mean().dropna()
        if len(of_policy) > 1 and of_policy.max() - of_policy.min() > MOST:
            yield str(of_policy.idxmin()), str(of_policy.idxmax()), of_policy
