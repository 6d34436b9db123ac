"""Studies that got more replicates after the first ones had been seen."""

from __future__ import annotations

import pandas as pd

from tune_kd.formats import plural


def extended_notes(outcomes: pd.DataFrame) -> list[str]:
    """A line on such studies: the error rates of verdicts are those of a comparison that is judged once.

    A study that was planned to stop once it is decided spreads them over its looks, and is none of these.
    """
    plain = outcomes[outcomes["looks_json"].isna()]
    planned = plain.groupby("study_id")["planned_replicates"].agg(["nunique", "min", "max"])
    planned = planned[planned["nunique"] > 1]
    if planned.empty:
        return []
    named = ", ".join(f"{study} from {row['min']:.0f} to {row['max']:.0f}" for study, row in planned.iterrows())
    return [
        f"{plural(len(planned), 'study')} got more replicates after the first were there ({named}): the error rates of "
        f"verdicts are those of a single look; compare --until-decided plans several"
    ]
