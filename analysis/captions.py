"""What a table of a paper has to say above it, in plain words: what it shows, of how many replicates, how computed."""

from __future__ import annotations

import pandas as pd

from analysis.runs.metric import metric_of
from tune_kd.formats import plural

ENERGY = {
    "counter": "energy read from hardware counters",
    "sampled": "energy by sampled power",
    "model": "energy by a power model",
    "mixed": "energy in part read, in part by a power model",
}


def costs_caption(rows: pd.DataFrame) -> str:
    """Of the table of what each policy reached and cost (:func:`analysis.summary.tabulate`), one comparison."""
    metric, first = metric_of(rows), rows.iloc[0]
    shown = f"Validation and test {metric} of each policy's incumbent, and what the policy cost, on {first['scenario']}"
    return (
        f"{shown}{_budget(first)}: mean ± standard deviation over {_replicates(rows['replicates'])}. "
        f"Costs are means of all trials of a run, failed ones included{_energy(first)}; the last column is the "
        f"geometric mean of the replicates' ratios of cost to {first['reference']}."
    )


def verdicts_caption(rows: pd.DataFrame) -> str:
    """Of the table of verdicts (:func:`analysis.ranking.ranking`), one comparison."""
    metric, first = metric_of(rows), rows.iloc[0]
    within = "" if pd.isna(first["equivalence_margin"]) else f" within {100 * first['equivalence_margin']:g} pp"
    over = "all pairs at 5 %" if pd.isna(first["looks_of"]) else "policies and planned looks, at 5 % for all of them"
    return (
        f"Which policies differ from {first['reference']} in test {metric}, on {first['scenario']}{_budget(first)}: "
        f"difference Δ in percentage points with {_interval(rows)} over {_replicates(rows['pairs'], 'pair')} "
        f"of runs with the same seeds. Better and worse: two-sided paired t tests; equivalent: two one-sided t tests"
        f"{within}; each with Holm's correction over {over}."
    )


def confidence(rows: pd.DataFrame) -> str:
    """'95 %', or 'at its look' where they differ: of rows of :func:`analysis.ranking.ranking` or of its pairs."""
    found = _confidences(rows)
    return f"{found[0]} %" if len(found) == 1 else "at its look"


def _interval(rows: pd.DataFrame) -> str:
    """What intervals the rows have, with their confidence, or with all that there are."""
    found = _confidences(rows)
    if len(found) == 1:
        return f"its {found[0]} % Student t interval"
    return f"the Student t interval of its look ({', '.join(found[:-1])} or {found[-1]} %)"


def _confidences(rows: pd.DataFrame) -> list[str]:
    """Those of the rows' intervals in percent, the largest first; 95 where there are none."""
    known = sorted(rows["confidence"].dropna().unique(), reverse=True)
    return [f"{100 * one:.4g}" for one in known or [0.95]]


def _budget(row: pd.Series) -> str:
    if pd.isna(row["budget_limit"]):
        return ""
    return f", at most {row['budget_limit']:g} {row['budget_currency']} a run"


def _replicates(counts: pd.Series, what: str = "replicate") -> str:
    """``n = 20 replicates``, or their range where policies have different numbers."""
    known = counts.dropna().astype(int)
    fewest, most = (int(known.min()), int(known.max())) if len(known) else (0, 0)
    return f"n = {plural(most, what)}" if fewest == most else f"n = {fewest} to {plural(most, what)}"


def _energy(row: pd.Series) -> str:
    return f" ({ENERGY[row['energy_method']]})" if row["energy_method"] in ENERGY else ""
