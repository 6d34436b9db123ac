"""The paper's tables in its own layout and units, our numbers beside its numbers.

Table 1: the teacher and every policy on one dataset. Table 4: losses × datasets. Table 5: the metrics of
classification. Table 7: teachers × students. A number of the paper appears where dataset, loss and both networks are
the paper's; that ours come from another protocol (fewer epochs, a part of the data, other pixels) is said below the
table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.command import main
from analysis.paper.datasets import scenario_words
from analysis.paper.numbers import COMPARED, EPOCHS, METHODS, PIXELS, PUBLIC_STUDENT, is_papers_pair, paper_row
from analysis.rendering.table import Table, as_rows, number, plus_minus
from analysis.runs.accounting import as_float, columns
from analysis.runs.metric import SCORE, metric_of
from analysis.runs.outcomes import each_policy
from analysis.runs.reading import Records
from tune_kd.formats import JOULES_PER_KWH
from tune_kd.store.columns import ACCURACY

METRICS = ("precision_macro", "recall_macro", "specificity_macro", "kappa", "prevalence", "f1_macro")


def paper_frame(outcomes: pd.DataFrame, runs: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """One row per comparison and method (a teacher first), ours beside the paper's, in the paper's units.

    Columns: comparison, metric, dataset, teacher, student, loss, method, n, score, spread (percent), gflops_m,
    energy_kwh, co2e_g, paper_score, paper_spread, paper_gflops_m, paper_energy_kwh, paper_co2e_g, epochs, train_limit,
    image_size.
    """
    by_run = runs.drop_duplicates("run_id").set_index("run_id")
    trials = columns(trials, ("flops_paper",))
    flops = as_float(trials["flops_paper"]).groupby(trials["run_id"]).sum(min_count=1)
    rows = []
    for comparison, mine in outcomes.groupby("comparison", sort=True):
        words = scenario_words(by_run.loc[mine["run_id"].iloc[0]])
        setting = {"comparison": comparison, "metric": mine["metric"].iloc[0], **words}
        taught = columns(by_run.loc[mine["run_id"]], ("teacher_id",)).dropna(subset=["teacher_id"])
        if len(taught):
            rows.append({**setting, **_teacher(taught)})
        for _, label, group in each_policy(mine):
            method = METHODS.get(label, label)
            rows.append({**setting, "method": method, **_ours(group, flops)})
    return pd.DataFrame([row | _paper(row) for row in rows])


def table1(frame: pd.DataFrame) -> list[Table]:
    """One table per comparison: all its methods."""
    return [
        _layout(mine, ("method",), f"Table 1 layout: {mine['dataset'].iloc[0]}, {mine['loss'].iloc[0] or 'distilled'}")
        for _, mine in frame.groupby("comparison", sort=True)
    ]


def table4(frame: pd.DataFrame) -> Table:
    """All datasets and losses: tuned and stochastic, and on VOC the student alone, which the paper has not."""
    alone = (frame["dataset"] == "voc") & (frame["method"] == METHODS["student"])
    chosen = frame[frame["method"].isin(COMPARED) | alone].sort_values(["dataset", "loss"], kind="stable")
    return _layout(chosen, ("dataset", "loss", "method"), "Table 4 layout: losses × datasets")


def table7(frame: pd.DataFrame) -> Table:
    """All pairs of teacher and student: tuned and stochastic."""
    chosen = frame[frame["method"].isin(COMPARED)].sort_values(["teacher", "student"], kind="stable")
    return _layout(chosen, ("teacher", "student", "dataset", "method"), "Table 7 layout: teachers × students")


def table5(outcomes: pd.DataFrame, trials: pd.DataFrame) -> Table:
    """Precision, recall, specificity, Cohen's κ, prevalence and F1 of the incumbents, means over replicates."""
    counted = outcomes[outcomes["counted"] & (outcomes["metric"] == ACCURACY)]
    counted = counted[["comparison", "label", "scenario", "run_id", "incumbent"]]
    scores = columns(trials, METRICS).dropna(subset=["test_score"]).drop_duplicates("trial_id", keep="last")
    of_incumbent = scores.set_index("trial_id")[list(METRICS)].apply(as_float).reindex(counted["incumbent"])
    joined = pd.concat([counted, of_incumbent.set_axis(counted.index)], axis=1)
    data = joined.groupby(["comparison", "scenario", "label"], sort=False)[list(METRICS)].mean().reset_index()
    rows = [[row["scenario"], row["label"], *(number(row[name], 4) for name in METRICS)] for row in as_rows(data)]
    headers = ["scenario", "policy", "precision", "recall", "specificity", "κ", "prevalence", "F1"]
    notes = ["macro means over classes, fractions; on the test set, at the validation-chosen incumbent"]
    return Table(title="Table 5 layout: metrics", headers=headers, rows=rows, data=data, notes=notes, text_columns=2)


def tables(records: Records, currency: str) -> list[Table]:
    """All of them; the paper's tables have all their currencies side by side."""
    if records.outcomes.empty:
        return []
    frame = paper_frame(records.outcomes, records.runs, records.trials)
    return [*table1(frame), table4(frame), table5(records.outcomes, records.trials), table7(frame)]


def _teacher(runs: pd.DataFrame) -> dict[str, Any]:
    """The teachers of some runs, each once."""
    names = ("teacher_id", "teacher_test_score", "teacher_energy_j", "teacher_co2e_g")
    teachers = columns(runs, names).drop_duplicates("teacher_id")
    mean = {name: as_float(teachers[name]).mean() for name in names[1:]}
    spread = as_float(teachers["teacher_test_score"]).std(ddof=1)
    costs = {"energy_kwh": mean["teacher_energy_j"] / JOULES_PER_KWH, "co2e_g": mean["teacher_co2e_g"]}
    # The paper's convention counts teacher and student of a distillation; a teacher's own training is another thing.
    row = {
        "method": "teacher",
        "n": len(teachers),
        "score": 100 * mean["teacher_test_score"],
        "spread": 100 * spread,
    }
    return {**row, "gflops_m": np.nan, **costs}


def _ours(group: pd.DataFrame, flops_paper: pd.Series) -> dict[str, Any]:
    counted = group[group["counted"]]
    score = 100 * counted["test_score"]
    row = {"n": len(counted), "score": score.mean(), "spread": score.std(ddof=1)}
    row["gflops_m"] = counted["run_id"].map(flops_paper).mean(skipna=False) / 1e15 if len(counted) else np.nan
    row["energy_kwh"] = counted["energy_j"].mean(skipna=False) / JOULES_PER_KWH if len(counted) else np.nan
    return {**row, "co2e_g": counted["co2e_g"].mean(skipna=False) if len(counted) else np.nan}


def _paper(row: dict[str, Any]) -> dict[str, Any]:
    def plain(name: str) -> str:
        return re.sub(r"[^a-z0-9]", "", str(row[name]).lower())

    same = is_papers_pair(row["dataset"], plain("teacher"), plain("student"))
    # The paper's tables have its CMC and DML with τ in them.
    found = paper_row(row["dataset"], row["loss"].removesuffix("-tau"), row["method"]) if same else None
    names = ("score", "spread", "gflops_m", "energy_kwh", "co2e_g")
    return {f"paper_{name}": getattr(found, name) if found else None for name in names}


def _layout(rows: pd.DataFrame, words: Sequence[str], title: str) -> Table:
    body = []
    for row in as_rows(rows.astype(object).where(rows.notna(), np.nan)):
        cells = [str(row[word]) for word in words]
        scores = ((row[f"{side}score"] / 100, row[f"{side}spread"] / 100) for side in ("", "paper_"))
        cells += [plus_minus(mean, spread, 2) for mean, spread in scores]
        for name in ("gflops_m", "energy_kwh", "co2e_g"):
            cells += [number(row[name], 4), number(row[f"paper_{name}"], 5)]
        body.append(cells)
    metric = metric_of(rows)
    headers = [
        *words,
        "acc. %" if metric == ACCURACY else f"{metric} %",
        "paper",
        "GFLOPs (M)",
        "paper",
        "kWh",
        "paper",
        "g CO2e",
        "paper",
    ]
    return Table(title=title, headers=headers, rows=body, data=rows, notes=_protocol(rows), text_columns=len(words))


def _protocol(rows: pd.DataFrame) -> list[str]:
    ours = []
    for _, row in rows.drop_duplicates(["dataset", "epochs", "train_limit", "image_size"]).iterrows():
        part = "all training images" if pd.isna(row["train_limit"]) else f"{row['train_limit']:g} training images"
        size = row["image_size"]
        other = pd.notna(size) and size != PIXELS.get(row["dataset"], size)
        pixels = f" of {size:g} × {size:g} pixels" if other else ""
        ours.append(f"{row['dataset']}: {row['epochs'] or 'an unknown number of'} epochs on {part}{pixels}")
    lines = ["ours: " + "; ".join(ours)] if ours else []
    epochs = " or ".join(str(count) for count in sorted({EPOCHS.get(name, 100) for name in rows["dataset"]})) or "100"
    lines.append(f"paper: {epochs} epochs on all images, the best epoch on the test set; GFLOPs in its convention")
    return [*lines, *_on_voc(rows)]


def _on_voc(rows: pd.DataFrame) -> list[str]:
    """What has to be known of the rows of VOC, if there are any."""
    mixed = ["score: accuracy, of detection mAP"] if metric_of(rows) == SCORE else []
    if rows["paper_score"][rows["dataset"] == "voc"].isna().all():
        return mixed
    return [
        *mixed,
        f"voc: the paper has no student alone; a public one has {PUBLIC_STUDENT} mAP (11 points) without a teacher, "
        "above the paper's distilled ones: neither is a target",
    ]


if __name__ == "__main__":
    raise SystemExit(main(tables, __doc__))
