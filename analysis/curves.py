"""Energy-to-accuracy curves: the incumbent's accuracy over what a run has spent, in any currency.

Step functions throughout: a trial enters when it ends, its accuracy holds until a better one ends, and nothing is
known before the first. No interpolation, which would show an accuracy before it was paid for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.captions import curve_caption
from analysis.command import main
from analysis.rendering.table import Table, as_rows, number
from analysis.runs.accounting import CURRENCIES, Accounting, as_float, attempt_costs, run_costs, run_overheads
from analysis.runs.metric import in_percent
from analysis.runs.outcomes import each_policy
from analysis.runs.reading import Records
from analysis.statistics.intervals import step, t_interval
from tune_kd.formats import percentage
from tune_kd.store.columns import ACCURACY
from tune_kd.store.reading.incumbents import standing

COLUMNS = ("comparison", "label", "replicate", "run_id", "cost", "val_score", "test_score", "trial_id")


def run_curves(
    outcomes: pd.DataFrame, runs: pd.DataFrame, trials: pd.DataFrame, accounting: Accounting | None = None
) -> pd.DataFrame:
    """The incumbent of every counted run after each attempt, in the order in which attempts ended.

    Rows: one an attempt. Columns: ``COLUMNS``; ``cost`` is cumulative in base units, what the trials share included;
    val_score is v(e), test_score t(e), NaN until a trial has ended. A run with an unknown cost has no rows.
    """
    rule = accounting or Accounting()
    counted = outcomes[outcomes["counted"]]
    mine = trials[trials["run_id"].isin(counted["run_id"])].sort_values(["run_id", "ended_at", "index"], kind="stable")
    by_run = mine["run_id"]
    spent = attempt_costs(mine, rule)
    cost = spent.groupby(by_run).cumsum() + run_overheads(runs, rule).reindex(by_run).to_numpy()
    unknown = spent.isna().groupby(by_run).transform("any") | cost.isna()
    standings = standing(mine)
    best = standings.groupby(by_run).cummax()
    enters = standings.notna() & (standings == best)
    frame = mine[["run_id"]].assign(cost=cost)
    for name in ("val_score", "test_score"):
        frame[name] = as_float(mine[name]).where(enters)
    frame["trial_id"] = mine["trial_id"].where(enters)
    # An incumbent whose test is missing must not pass off its predecessor's: fill by incumbent, not by column.
    spell, told = enters.groupby(by_run).cumsum(), ["val_score", "test_score", "trial_id"]
    frame[told] = frame.groupby([by_run, spell])[told].ffill()
    frame = frame[~unknown].merge(counted[["run_id", "comparison", "label", "replicate"]], on="run_id")
    return frame.sort_values(["comparison", "label", "replicate", "cost"], kind="stable")[list(COLUMNS)]


def mean_curve(steps: Sequence[tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """The mean of replicates' step functions (cost, value), exact at every cost where one of them steps.

    Columns: cost, mean, low, high (95 % t interval), n, spending (the replicates that spent that much or more). NaN
    until every replicate has an incumbent: a mean over those that happen to be early would be of another population.
    Where a replicate has ended, its last value stays in the mean.
    """
    at = np.unique(np.concatenate([cost for cost, _ in steps]))
    mean, low, high = t_interval(np.stack([step(cost, value, at) for cost, value in steps]), axis=0)
    spending = np.sum([cost[-1] >= at for cost, _ in steps], axis=0)
    return pd.DataFrame({"cost": at, "mean": mean, "low": low, "high": high, "n": len(steps), "spending": spending})


def mean_curves(curves: pd.DataFrame, value: str = "test_score") -> pd.DataFrame:
    """:func:`mean_curve` of each comparison and label of :func:`run_curves`; their columns come first."""
    parts = []
    for comparison, label, mine in each_policy(curves):
        runs = [rows for _, rows in mine.groupby("run_id", sort=False)]
        steps = [(rows["cost"].to_numpy(dtype=float), rows[value].to_numpy(dtype=float)) for rows in runs]
        parts.append(mean_curve(steps).assign(comparison=comparison, label=label))
    names = ["comparison", "label", "cost", "mean", "low", "high", "n", "spending"]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def curve_ends(
    outcomes: pd.DataFrame,
    runs: pd.DataFrame,
    trials: pd.DataFrame,
    accounting: Accounting | None = None,
    value: str = "test_score",
) -> pd.DataFrame:
    """Where the curve of each comparison and policy ends: at the mean cost of its runs and their mean last score.

    It is the point of the tables and of the Pareto plot. Columns: comparison, label, cost, mean, low, high (95 % t
    interval of the score), n. A policy has no end where the cost of one of its runs is not known.
    """
    costs = run_costs(runs, trials, accounting or Accounting())
    rows = []
    for comparison, label, mine in each_policy(outcomes[outcomes["counted"]]):
        spent, scores = costs.reindex(mine["run_id"]).to_numpy(), as_float(mine[value]).to_numpy()
        mean, low, high = t_interval(scores)
        found = {"cost": spent.mean(), "mean": mean, "low": low, "high": high, "n": len(mine)}
        rows.append({"comparison": comparison, "label": label, **found})
    names = ["comparison", "label", "cost", "mean", "low", "high", "n"]
    return pd.DataFrame(rows, columns=names).dropna(subset=["cost", "mean"])


def curve_table(curves: pd.DataFrame, currency: str, metric: str = ACCURACY) -> Table:
    """Mean curves (of :func:`mean_curves`) as a table: the score after every step of a policy's mean."""
    rows = []
    for row in as_rows(curves):
        accuracies = [percentage(row[name], 2) for name in ("mean", "low", "high")]
        rows.append([str(row["label"]), number(row["cost"], 4), *accuracies])
    return Table(
        title=f"Test {metric} of the incumbent over {currency}",
        headers=["policy", f"{currency} {CURRENCIES[currency].unit}", in_percent("test", metric), "low", "high"],
        rows=rows,
        data=curves,
        notes=[
            "95 % t interval over replicates; steps, never interpolated; a replicate that has ended keeps its score"
        ],
        caption=curve_caption(curves, currency, metric),
    )


def tables(records: Records, currency: str) -> list[Table]:
    """One table of mean curves per comparison."""
    rule = Accounting(currency=currency)
    curves = mean_curves(run_curves(records.outcomes, records.runs, records.trials, rule))
    metrics = records.outcomes.groupby("comparison")["metric"].first()
    return [curve_table(mine, currency, metrics[comparison]) for comparison, mine in curves.groupby("comparison")]


if __name__ == "__main__":
    raise SystemExit(main(tables, __doc__))
