"""What the figures show, computed: accuracy by τ, the Pareto front, where energy and time went, confusion matrices.

Every function here gives a frame that a plot draws as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.accounting import CURRENCIES, as_float, columns
from analysis.curves import t_interval
from analysis.outcomes import ENDED, each_policy
from analysis.summary import tabulate

COMPONENTS = ("energy_cpu_j", "energy_gpu_j", "energy_ram_j")
PHASES = ("train_s", "eval_s", "teacher_s", "other_s")


def accuracy_by_tau(outcomes: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy of trials at a constant τ, whichever policy suggested it: mean and 95 % t interval over replicates.

    Columns: comparison, tau, mean, low, high, n. Trials of one replicate at one τ are averaged first: they share its
    batches. A picture of what τ does (the paper's Fig 3a); choosing τ by it would choose on the test set.
    """
    runs = outcomes[outcomes["counted"]][["run_id", "comparison", "replicate"]]
    fixed = columns(trials, ("tau", "status"))
    fixed = fixed[fixed["status"].isin(ENDED)].assign(
        tau=as_float(fixed["tau"]), test_accuracy=as_float(fixed["test_accuracy"])
    )
    joined = fixed[["run_id", "tau", "test_accuracy"]].dropna().merge(runs, on="run_id")
    by_replicate = joined.groupby(["comparison", "tau", "replicate"])["test_accuracy"].mean().reset_index()
    rows = []
    for (comparison, tau), values in by_replicate.groupby(["comparison", "tau"])["test_accuracy"]:
        mean, low, high = t_interval(values.to_numpy())
        rows.append({"comparison": comparison, "tau": tau, "mean": mean, "low": low, "high": high, "n": len(values)})
    return pd.DataFrame(rows, columns=["comparison", "tau", "mean", "low", "high", "n"])


def pareto(cost: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """True where no other point is at most as costly and at least as accurate, and better in one; False for NaN."""
    cheaper, better = cost[None, :] <= cost[:, None], accuracy[None, :] >= accuracy[:, None]
    strictly = (cost[None, :] < cost[:, None]) | (accuracy[None, :] > accuracy[:, None])
    return ~(cheaper & better & strictly).any(axis=1) & ~np.isnan(cost) & ~np.isnan(accuracy)


def pareto_points(outcomes: pd.DataFrame, currency: str = "energy") -> pd.DataFrame:
    """One row per comparison and policy with a known cost: comparison, label, cost, accuracy, std, front."""
    column = CURRENCIES[currency].trial
    names = {column: "cost", "test_accuracy_mean": "accuracy", "test_accuracy_std": "std"}
    points = tabulate(outcomes).rename(columns=names)[["comparison", "label", "cost", "accuracy", "std"]]
    points = points.dropna(subset=["cost", "accuracy"]).reset_index(drop=True)
    front = pd.Series(False, index=points.index)
    for _, mine in points.groupby("comparison"):
        front[mine.index] = pareto(mine["cost"].to_numpy(), mine["accuracy"].to_numpy())
    return points.assign(front=front)


def parts_of(outcomes: pd.DataFrame, trials: pd.DataFrame, parts: tuple[str, ...]) -> pd.DataFrame:
    """The mean over counted runs of each of ``parts`` (``COMPONENTS`` or ``PHASES``), all attempts included.

    Columns: comparison, label and the parts; NaN where a part was never measured.
    """
    trials = columns(trials, parts)
    sums = trials[list(parts)].apply(as_float).groupby(trials["run_id"]).sum(min_count=1)
    rows = []
    for comparison, label, mine in each_policy(outcomes[outcomes["counted"]]):
        means = sums.reindex(mine["run_id"]).mean()
        rows.append({"comparison": comparison, "label": label, **means})
    return pd.DataFrame(rows, columns=["comparison", "label", *parts])


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


def measured(outcomes: pd.DataFrame, trials: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
    """What was measured, what modelled and what not at all: columns what, method, count (of nodes or attempts)."""
    mine = columns(trials[trials["run_id"].isin(outcomes["run_id"])], ("energy_method", "flops_uncounted_ops"))
    nodes = columns(nodes, (f"meter_method_{part}" for part in ("cpu", "gpu", "ram")))
    found = [(f"{part.upper()} (nodes)", nodes[f"meter_method_{part}"]) for part in ("cpu", "gpu", "ram")]
    found.append(("energy (attempts)", mine["energy_method"]))
    rows: list[dict[str, Any]] = []
    for what, methods in found:
        named = methods.astype(object).where(methods.notna(), "not measured").astype(str)
        rows += [{"what": what, "method": str(method), "count": int(n)} for method, n in named.value_counts().items()]
    uncounted = mine["flops_uncounted_ops"].dropna().astype(str)
    for operators, n in uncounted[uncounted != ""].value_counts().items():
        rows.append({"what": "FLOPs (attempts)", "method": f"not counted: {operators}", "count": int(n)})
    return pd.DataFrame(rows, columns=["what", "method", "count"])


def versions(runs: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
    """What the records say of software and hardware: columns what, value; several values of one thing are joined."""
    rows = []
    ours = ["code_version", "code_revision", "schema_version", "teacher_id"]
    theirs = ["cpu_model", "cpus", "ram_bytes", "gpu_model", "gpus", "gpu_driver", "os", "python"]
    theirs += ["torch", "torchvision", "ray", "optuna", "codecarbon"]
    for frame, names in ((runs, ours), (nodes, theirs)):
        for name in names:
            values = columns(frame, (name,))[name].dropna().astype(str).unique()
            if len(values):
                rows.append({"what": name.replace("_", " "), "value": ", ".join(sorted(values))})
    return pd.DataFrame(rows, columns=["what", "value"])
