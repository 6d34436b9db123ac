"""Where the numbers of a page come from: teachers, meters and versions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.rendering.table import as_rows, number
from analysis.runs.accounting import as_float, columns
from analysis.runs.metric import metric_of
from analysis.summary import shown_unit
from tune_kd.formats import percentage, score_name
from tune_kd.tasks.chance import no_better


def teacher_notes(runs: pd.DataFrame) -> list[str]:
    """A line on each teacher: what it reached, and what its training cost, which is in no policy's cost.

    Another one where it reached no more than always naming the largest class does.
    """
    lines, metric = [], metric_of(runs)
    for row in as_rows(teachers(runs)):
        costs = {"energy": row["teacher_energy_j"], "flops": row["teacher_flops"], "co2e": row["teacher_co2e_g"]}
        shown = [_in_words(name, cost) for name, cost in costs.items() if np.isfinite(cost)]
        training = f"; its training, {', '.join(shown)}, is in no policy's cost" if shown else ""
        reached = f"{score_name('test', metric)} {percentage(row['teacher_test_score'])} %"
        lines.append(f"teacher: {reached}, not ranked{training}")
        if chance := no_better(row["teacher_val_score"], row["val_prevalence"], row["val_images"]):
            lines.append(f"teacher: {chance}")
    return lines


def _in_words(currency: str, cost: float) -> str:
    unit, worth = shown_unit(currency, pd.Series([cost]))
    return f"{number(cost / worth)} {unit}"


def learned_parameters(outcomes: pd.DataFrame, trials: pd.DataFrame) -> dict[str, int]:
    """By policy, how many parameters it learns beside the student's; those that learn none are left out."""
    label = outcomes.drop_duplicates("run_id").set_index("run_id")["label"]
    counts = as_float(columns(trials, ("policy_parameters",))["policy_parameters"])
    most = counts.groupby(trials["run_id"].map(label)).max()
    return {str(name): int(count) for name, count in most[most > 0].items()}


def teachers(runs: pd.DataFrame) -> pd.DataFrame:
    """The teachers that some runs had, each once: teacher_id, scores, and the costs of their training.

    With the size of the validation set and the share of its largest class.
    They are no policy's, so nothing ranks them; columns as in ``runs``, NaN where nothing is on record.
    """
    names = (
        "val_prevalence",
        "val_images",
        "teacher_val_score",
        "teacher_test_score",
        "teacher_energy_j",
        "teacher_flops",
        "teacher_co2e_g",
    )
    frame = columns(runs, ("teacher_id", *names)).drop_duplicates("teacher_id").dropna(subset=["teacher_id"])
    return frame[["teacher_id"]].assign(**{name: as_float(frame[name]) for name in names}).reset_index(drop=True)


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
