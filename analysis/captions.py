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
        f"{shown}{_budget(first)}: mean ± standard deviation over {replicates(rows['replicates'])}. "
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
        f"difference Δ in percentage points with {_interval(rows)} over {replicates(rows['pairs'], 'pair')} "
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


def pairs_caption(rows: pd.DataFrame) -> str:
    """Of the table of all pairs of policies (:func:`analysis.ranking.pair_table`), one comparison."""
    over = "all pairs" if rows["look"].isna().all() else "policies and looks"
    return (
        f"Difference of every pair of policies, a minus b, in test score, in percentage points with {_interval(rows)} "
        f"over {replicates(rows['n'], 'pair')} of runs with the same seeds. p values of two-sided paired t tests and "
        f"of two one-sided tests of equivalence, after Holm's correction over {over}; n needed: replicates for a "
        f"verdict if the difference were as seen; cost: geometric mean of the replicates' ratios."
    )


def target_caption(rows: pd.DataFrame, currency: str) -> str:
    """Of the table of costs to the target (:func:`analysis.target.target_table`), one comparison."""
    first = rows.iloc[0]
    return (
        f"What it costs in {currency} to reach {100 * first['target']:.2f} % validation {first['metric']}, over "
        f"{replicates(rows['n'])}: share of runs that reached it with Wilson's 95 % interval; restricted mean cost "
        f"(RMST), where a miss counts as the budget, with Gaffke's 95 % interval; expected cost (ERT), all that was "
        f"spent over the runs that reached it; PAR-2, where a miss counts twice."
    )


def sensitivity_caption(rows: pd.DataFrame) -> str:
    """Of the table of ranks by accounting rule (:func:`analysis.sensitivity.sensitivity_table`), one comparison."""
    return (
        f"Rank of each policy by its restricted mean cost to the target (RMST) under each currency and accounting "
        f"rule, over {replicates(rows['n'])}; in brackets the cost as a multiple of the least."
    )


def curve_caption(rows: pd.DataFrame, currency: str, metric: str) -> str:
    """Of the table of mean curves (:func:`analysis.curves.mean_curves`), one comparison."""
    return (
        f"Test {metric} of the incumbent after each step of a policy's mean over {currency}: mean over "
        f"{replicates(rows['n'])} with its 95 % Student t interval. Curves are steps, never interpolated; a replicate "
        f"that has ended keeps its score."
    )


def ranks_caption(scenarios: int, tested: bool) -> str:
    """Of the table of mean ranks (:func:`analysis.across.across`)."""
    test = " Friedman's test, then Nemenyi's critical difference at 5 %." if tested else ""
    return (
        f"Mean rank of each policy over n = {plural(scenarios, 'scenario')}, by its mean test score in each; 1 is "
        f"best, ties share the mean of their ranks.{test}"
    )


def profile_caption(scenarios: int, currency: str) -> str:
    """Of the table of performance profiles (:func:`analysis.across.performance_profile`)."""
    return (
        f"Performance profile: share of n = {plural(scenarios, 'scenario')} in which a policy's expected {currency} to "
        f"the target (ERT) is within a multiple of the least."
    )


def explanation_caption(counts: pd.Series, images: int) -> str:
    """Of the table of what networks see (:func:`analysis.explanation.explanation_table`)."""
    return (
        f"Test accuracy and expected calibration error (15 bins of confidence) of the incumbents, mean ± standard "
        f"deviation over {replicates(counts)}; cosine of their Grad-CAM maps to the teacher's, mean ± standard "
        f"deviation over {plural(images, 'image')} of the first replicate."
    )


def replicates(counts: pd.Series, what: str = "replicate") -> str:
    """``n = 20 replicates``, or their range where policies have different numbers."""
    known = counts.dropna().astype(int)
    fewest, most = (int(known.min()), int(known.max())) if len(known) else (0, 0)
    return f"n = {plural(most, what)}" if fewest == most else f"n = {fewest} to {plural(most, what)}"


def _energy(row: pd.Series) -> str:
    return f" ({ENERGY[row['energy_method']]})" if row["energy_method"] in ENERGY else ""
