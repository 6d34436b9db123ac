"""What the figures show, computed: accuracy by τ, the Pareto front, where costs went, confusion matrices.

Every function here gives a frame that a plot draws as it is.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.runs.accounting import CURRENCIES, as_float, columns
from analysis.runs.outcomes import each_policy
from analysis.statistics.intervals import t_interval
from analysis.summary import tabulate

# What adds up to a trial's cost in a currency: the part's name and its column.
PARTS = {
    "energy": {"CPU": "energy_cpu_j", "GPU": "energy_gpu_j", "RAM": "energy_ram_j", "idle": "energy_idle_j"},
    "flops": {
        "student forward": "flops_forward",
        "student backward": "flops_backward",
        "teacher": "flops_teacher",
        "validation": "flops_eval",
        "policy": "flops_policy",
        "synthesis": "flops_synthesis",
    },
    "time": {
        "student": "train_s",
        "teacher": "teacher_s",
        "validation": "eval_s",
        "synthesis": "synthesis_s",
        "other": "other_s",
    },
}
SHARED = "shared"  # what a run's trials share: teacher outputs computed once


def accuracy_by(outcomes: pd.DataFrame, trials: pd.DataFrame, *values: str) -> pd.DataFrame:
    """Test accuracy of trials at a constant τ, by the ``values`` (tau, alpha) that they had, whoever suggested them.

    Mean and 95 % t interval over replicates. Columns: comparison, the values, mean, low, high, n. Only trials that were
    trained to the end. Those of one replicate with the same values are averaged first: they share its batches. A
    picture of what τ and α do (the paper's Fig 3a); choosing them by it would choose on the test set.
    """
    joined = _constant(outcomes, trials).dropna(subset=["tau", "test_score", *values])
    by_replicate = joined.groupby(["comparison", *values, "replicate"])["test_score"].mean().reset_index()
    keys, rows = ["comparison", *values], []
    for key, scores in by_replicate.groupby(keys)["test_score"]:
        mean, low, high = t_interval(scores.to_numpy())
        rows.append({**dict(zip(keys, key, strict=True)), "mean": mean, "low": low, "high": high, "n": len(scores)})
    return pd.DataFrame(rows, columns=[*keys, "mean", "low", "high", "n"])


def comparisons_with_alpha(outcomes: pd.DataFrame, trials: pd.DataFrame) -> set[int]:
    """The comparisons in which a run's trials at a constant τ had several α: those that searched it."""
    levels = _constant(outcomes, trials).dropna(subset=["tau"]).groupby(["comparison", "run_id"])["alpha"].nunique()
    return {int(comparison) for comparison, _ in levels[levels > 1].index}


def _constant(outcomes: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Trials of counted runs that were trained to the end: run_id, tau, alpha, test_score, comparison, replicate."""
    runs = outcomes[outcomes["counted"]][["run_id", "comparison", "replicate"]]
    known = columns(trials, ("tau", "alpha", "status"))
    known = known[known["status"] == "completed"]
    floats = {name: as_float(known[name]) for name in ("tau", "alpha", "test_score")}
    return known[["run_id"]].assign(**floats).merge(runs, on="run_id")


def pareto(cost: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """True where no other point is at most as costly and at least as accurate, and better in one; False for NaN."""
    cheaper, better = cost[None, :] <= cost[:, None], accuracy[None, :] >= accuracy[:, None]
    strictly = (cost[None, :] < cost[:, None]) | (accuracy[None, :] > accuracy[:, None])
    return ~(cheaper & better & strictly).any(axis=1) & ~np.isnan(cost) & ~np.isnan(accuracy)


def pareto_points(outcomes: pd.DataFrame, currency: str = "energy") -> pd.DataFrame:
    """One row per comparison and policy with a known cost: comparison, label, cost, accuracy, std, front."""
    column = CURRENCIES[currency].trial
    names = {column: "cost", "test_score_mean": "accuracy", "test_score_std": "std"}
    points = tabulate(outcomes).rename(columns=names)[["comparison", "label", "cost", "accuracy", "std"]]
    points = points.dropna(subset=["cost", "accuracy"]).reset_index(drop=True)
    front = pd.Series(False, index=points.index)
    for _, mine in points.groupby("comparison"):
        front[mine.index] = pareto(mine["cost"].to_numpy(), mine["accuracy"].to_numpy())
    return points.assign(front=front)


def parts_of(outcomes: pd.DataFrame, runs: pd.DataFrame, trials: pd.DataFrame, currency: str) -> pd.DataFrame:
    """The mean over counted runs of each of ``PARTS`` of a currency, all attempts included; they add up to its cost.

    Columns: comparison, label, the parts and ``SHARED``, in base units; NaN where a part was never measured, and all
    of them where a run's cost is not known.
    """
    named, known = PARTS[currency], CURRENCIES[currency]
    trials, runs = columns(trials, named.values()), columns(runs, (known.shared,))
    parts = pd.DataFrame({name: as_float(trials[column]) for name, column in named.items()})
    if currency == "time":
        # The teacher's passes are within train_s.
        parts["student"] -= parts["teacher"].fillna(0.0)
    sums = parts.groupby(trials["run_id"]).sum(min_count=1)
    sums[SHARED] = as_float(runs.drop_duplicates("run_id").set_index("run_id")[known.shared])
    rows = []
    for comparison, label, mine in each_policy(outcomes[outcomes["counted"]]):
        unknown = mine[known.trial].isna().any()
        means = sums.reindex(mine["run_id"]).mean() * (np.nan if unknown else 1.0)
        rows.append({"comparison": comparison, "label": label, **means})
    return pd.DataFrame(rows, columns=["comparison", "label", *named, SHARED])


def confusions(outcomes: pd.DataFrame, trials: pd.DataFrame) -> dict[tuple[int, str], np.ndarray]:
    """By comparison and policy, the confusion matrices of the incumbents summed over replicates, [classes, classes].

    Rows are the true classes. What has no matrix, or matrices of different sizes, is left out.
    """
    known = columns(trials, ("confusion",)).dropna(subset=["confusion"]).drop_duplicates("trial_id", keep="last")
    matrices = known.set_index("trial_id")["confusion"]
    found: dict[tuple[int, str], np.ndarray] = {}
    for comparison, label, mine in each_policy(outcomes[outcomes["counted"]]):
        each = [np.array([list(row) for row in matrices[name]]) for name in mine["incumbent"] if name in matrices.index]
        if each and len({matrix.shape for matrix in each}) == 1:
            found[comparison, label] = np.sum(each, axis=0)
    return found
