"""The project's three questions, answered for each comparison of a store by its records alone.

Does a random τ for every batch match grid search? What does one training buy? How much less than grid search does it
cost, by which count? A comparison without grid search and the stochastic policy has no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.pages.by_temperature import friedman
from analysis.ranking import against, interval, pair_table, ranking
from analysis.rendering.table import Table, as_rows, markdown, number
from analysis.runs.accounting import as_float
from analysis.runs.reading import Records
from analysis.runs.replicates import replicate_matrix
from analysis.statistics.paired import LEVEL, paired
from analysis.statistics.ratios import cost_ratio
from analysis.summary import comparison_title
from tune_kd.formats import percentage, plural

RANDOM, SEARCH = "stochastic", "grid"
SAID = {
    "equivalent": "Yes, within {margin} pp",
    "better": "It is better",
    "worse": "No, it is worse",
    "inconclusive": "Not known yet",
}
ONCE = {
    "better": "better than that are",
    "equivalent": "equivalent to it",
    "inconclusive": "not told apart from it",
    "worse": "worse",
}
COUNTS = {
    "trainings": "trials",
    "FLOPs, each trial asking the teacher": "flops_unshared",
    "FLOPs": "flops_executed",
    "joules of the processors above idle": "energy_processors_j",
    "joules at the trials' own pace": "energy_own_pace_j",
    "joules by the hour": "energy_j",
}
"""What grid search costs more of, by the column of an outcome that counts it."""


def answers(records: Records) -> Iterator[str]:
    """Parts of a Markdown document; none where no comparison has both policies."""
    comparisons = [mine for _, mine in records.outcomes.groupby("comparison", sort=True) if _has_both(mine)]
    if not comparisons:
        return
    yield "## Does a random τ for every batch match grid search?"
    yield _listed(comparisons, lambda mine: f"{_matches(mine)} {_before_choosing(mine, records.trials)}")
    yield "## What does one training buy?"
    yield _listed(comparisons, _one_training)
    yield "## How many times less does it cost than grid search?"
    yield markdown(times_less(comparisons))


def times_less(comparisons: Sequence[pd.DataFrame]) -> Table:
    """How many times the stochastic policy's costs grid search's are, by every count, one row a comparison."""
    data = pd.DataFrame([_times_less(mine) for mine in comparisons])
    return Table(
        title=f"{SEARCH} over {RANDOM}",
        headers=list(data.columns),
        rows=[[row["comparison"], str(row["n"]), *map(number, list(row.values())[2:])] for row in as_rows(data)],
        data=data,
        notes=["geometric means over n replicates; the paper's claim is 19"],
    )


def _times_less(mine: pd.DataFrame) -> dict[str, Any]:
    scores = replicate_matrix(mine, "test_score")[[SEARCH, RANDOM]]
    both = scores.notna().all(axis=1)
    costs = _with_unshared(mine)
    row: dict[str, Any] = {"comparison": comparison_title(mine.iloc[0]), "n": int(both.sum())}
    for name, column in COUNTS.items():
        searched, drawn = replicate_matrix(costs, column).loc[both, [SEARCH, RANDOM]].to_numpy().T
        row[name] = cost_ratio(searched, drawn).ratio
    together = replicate_matrix(mine, "side_by_side").loc[both, SEARCH].mean()
    if together > 1:
        row["comparison"] += f", {together:.0f} trials as one network"
    return row


def _has_both(mine: pd.DataFrame) -> bool:
    tested = set(mine.loc[mine["counted"] & mine["test_score"].notna(), "label"])
    return {RANDOM, SEARCH} <= tested


def _listed(comparisons: Sequence[pd.DataFrame], said: Callable[[pd.DataFrame], str]) -> str:
    return "\n".join(f"- **{comparison_title(mine.iloc[0])}.** {said(mine)}" for mine in comparisons)


def _matches(mine: pd.DataFrame) -> str:
    pair = against(pair_table(mine), RANDOM, SEARCH)
    said = SAID[pair["verdict"]].format(margin=f"{100 * pair['margin']:g}")
    return (
        f"{said}: {interval(pair)} pp ({100 * pair['confidence']:.3g} % interval) over"
        f" {plural(int(pair['n']), 'replicate')}, for {number(pair['ratio'])} of the energy."
    )


def _before_choosing(mine: pd.DataFrame, trials: pd.DataFrame) -> str:
    """The stochastic policy against the mean of grid search's trials: what is left of its lead without its choice.

    Where no difference between its τ is shown, the choice may be one of seeds.
    """
    searched = mine[mine["counted"] & (mine["label"] == SEARCH)]
    tested = trials[trials["run_id"].isin(searched["run_id"])]
    replicates = tested["run_id"].map(searched.set_index("run_id")["replicate"])
    means = as_float(tested["test_score"]).groupby(replicates).mean()
    differences = (replicate_matrix(mine, "test_score")[RANDOM] - means).dropna()
    found = paired(differences.to_numpy()[np.newaxis], float(mine["equivalence_margin"].iloc[0]))
    row = {"difference": found.mean[0], "low": found.low[0], "high": found.high[0]}
    scores = [percentage(float(value), 1) for value in (means.mean(), searched["test_score"].mean())]
    return (
        f"Grid search's trainings reach {scores[0]} % in the mean, the one that it chooses {scores[1]} %: against that"
        f" mean the random τ differs by {interval(row)} pp (95 % interval).{_between_temperatures(searched, trials)}"
    )


def _between_temperatures(grid: pd.DataFrame, trials: pd.DataFrame) -> str:
    """Whether the trials of grid search differ by τ; nothing where its runs are too few to tell."""
    p = friedman(grid, trials)
    if np.isnan(p):
        return ""
    shown = "a difference" if p < LEVEL else "no difference"
    return f" Between its τ {shown} is shown (Friedman's test, p = {number(p, 2)})."


def _one_training(mine: pd.DataFrame) -> str:
    """The policies of one trial, by their verdict against grid search, those with the highest mean first."""
    table = ranking(mine)
    once = table[(table["trials"] == 1) & (table["replicates"] > 0)].sort_values("test_score_mean", ascending=False)
    search = float(table.loc[table["label"] == SEARCH, "test_score_mean"].iloc[0])
    groups = []
    for verdict, words in ONCE.items():
        found = as_rows(once[once["verdict"] == verdict])
        named = ", ".join(f"{row['label']} {percentage(row['test_score_mean'], 1)} %" for row in found)
        groups += [f"{words}: {named}"] if named else []
    told = f"Of one training, {'; '.join(groups)}" if groups else "No policy here took one training"
    return f"Grid search reaches {percentage(search, 1)} %. {told}."


def _with_unshared(mine: pd.DataFrame) -> pd.DataFrame:
    """The outcomes with what their trials would have computed, had each asked the teacher itself."""
    shared = as_float(mine["shared_flops"]).fillna(0.0)
    trials = as_float(mine["trials"])
    return mine.assign(flops_unshared=as_float(mine["flops_executed"]) + shared * (trials - 1))
