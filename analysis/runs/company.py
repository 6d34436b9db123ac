"""Policies whose trials ran beside more, or fewer, other trials than those of another policy."""

from __future__ import annotations

import pandas as pd

MOST = 0.5
"""By how many co-tenants in the mean two policies may differ before the report says so."""


def company_notes(outcomes: pd.DataFrame) -> list[str]:
    """A line for each comparison in which the company of the policies' trials differs by more than :data:`MOST`.

    ``outcomes`` are of :func:`analysis.runs.outcomes.run_outcomes`. A trial's co-tenants are the most trials that were
    on its node with it. Where energy is modelled they change what is charged, so that costs are then not alike.
    """
    lines = []
    ranked = outcomes[outcomes["counted"]]
    for comparison in ranked["comparison"].unique():
        of_policy = ranked[ranked["comparison"] == comparison].groupby("label")["co_tenants"].mean().dropna()
        if len(of_policy) < 2 or of_policy.max() - of_policy.min() <= MOST:
            continue
        least, most = of_policy.idxmin(), of_policy.idxmax()
        lines.append(
            f"trials ran in different company: in the mean {of_policy[most]:.1f} others beside those of {most} and "
            f"{of_policy[least]:.1f} beside those of {least}; modelled idle and RAM energy is split among all that "
            f"run, and --max-concurrent 1 measures without company"
        )
    return lines
