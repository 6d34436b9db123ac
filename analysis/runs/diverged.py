"""Trials that diverged: whose loss, outputs or weights were not finite in some epoch."""

from __future__ import annotations

import pandas as pd

from analysis.runs.accounting import as_float, columns

MOST_PLACES = 3  # that a note names


def diverged_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """By run_id, ``diverged``, how many of its trials diverged, and ``diverged_at``, where each of them did.

    A place is 'τ = 20, epoch 3', or 'epoch 3' where τ moves within the trial. Other runs are left out.
    """
    known = columns(trials, ("run_id", "trial_id", "tau", "diverged_epoch"))
    known = known[known["diverged_epoch"].notna()].drop_duplicates("trial_id")
    taus, epochs = as_float(known["tau"]), as_float(known["diverged_epoch"])
    words = [
        f"epoch {epoch:.0f}" if pd.isna(tau) else f"τ = {tau:g}, epoch {epoch:.0f}"
        for tau, epoch in zip(taus, epochs, strict=True)
    ]
    places = pd.Series(words, index=known.index, dtype=object).groupby(known["run_id"])
    return pd.DataFrame({"diverged": places.size(), "diverged_at": places.agg(list)})


def diverged_notes(outcomes: pd.DataFrame) -> list[str]:
    """'1 of 19 trials of grid diverged (τ = 20, epoch 3)', a line for each policy of which some did."""
    lines = []
    several = outcomes["comparison"].nunique() > 1
    for (_, label), mine in outcomes.groupby(["comparison", "label"], sort=False):
        if not mine["diverged"].any():
            continue
        places = list(dict.fromkeys(place for run in mine["diverged_at"] for place in run))
        more = f"; and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
        where = f" on {mine['scenario'].iloc[0]}" if several else ""
        count = f"{mine['diverged'].sum()} of {mine['trials'].sum()} trials of {label}{where} diverged"
        lines.append(f"{count} ({'; '.join(places[:MOST_PLACES])}{more})")
    return lines
