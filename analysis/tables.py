"""The paper's tables in its own layout and units, our numbers beside its numbers.

Table 1: the teacher and every policy on one dataset. Table 4: losses × datasets. Table 5: the metrics of
classification. Table 6: methods of data-free distillation. Table 7: teachers × students. Table 8: quantization beside
distillation, and what int8 saves over float32. A number of the paper appears
where dataset, loss and networks are the paper's; that ours come from another protocol (fewer epochs, a part of the
data, other pixels), and where the paper contradicts itself, is said below the table.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from analysis.command import main
from analysis.paper.beside import layout
from analysis.paper.datasets import scenario_words
from analysis.paper.numbers import COMPARED, COSTS, METHODS, METRICS, TEACHER, method_of
from analysis.paper.quantized import int8_beside_float32
from analysis.rendering.table import Table, as_rows, number
from analysis.runs.accounting import as_float, columns
from analysis.runs.outcomes import each_policy
from analysis.runs.reading import Records
from tune_kd.formats import JOULES_PER_KWH
from tune_kd.store.columns import ACCURACY

COLUMNS = {name: name if name in ("kappa", "prevalence") else f"{name}_macro" for name in METRICS}
"""By metric of the paper, our column of ``trials``."""


def paper_frame(outcomes: pd.DataFrame, runs: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """One row per comparison and method (a teacher first), in the paper's units.

    Columns: comparison, metric, dataset, teacher, student, loss, synthesis, quantized, method, n, score, spread
    (percent), gflops_m, energy_kwh, co2e_g, images_kwh and images_flops (the synthesis of a replicate's images),
    precision, recall, specificity, kappa, prevalence, f1, epochs, train_limit, image_size, made (synthesised images),
    energy_method (how the joules were found), shared (do trainings of a run share the teacher's answers?).
    """
    by_run = runs.drop_duplicates("run_id").set_index("run_id")
    flops = as_float(columns(trials, ("flops_paper",))["flops_paper"]).groupby(trials["run_id"]).sum(min_count=1)
    tested, shared = _tested(trials), columns(by_run, ("shared_flops",))["shared_flops"]
    rows = []
    for comparison, mine in outcomes.groupby("comparison", sort=True):
        words = scenario_words(by_run.loc[mine["run_id"].iloc[0]])
        setting = {"comparison": comparison, **mine[["metric", "energy_method"]].iloc[0], **words}
        taught = columns(by_run.loc[mine["run_id"]], ("teacher_id",)).dropna(subset=["teacher_id"])
        if len(taught):
            rows.append({**setting, **_teacher(taught)})
        for _, label, group in each_policy(mine):
            method = method_of(label, quantized=words["quantized"])
            rows.append({**setting, "method": method, **_ours(group, flops, tested, shared)})
    return pd.DataFrame(rows)


def table1(frame: pd.DataFrame) -> list[Table]:
    """One table per comparison: all its methods."""
    return [
        layout(
            mine,
            1,
            words=("method",),
            measures=COSTS,
            title=f"{mine['dataset'].iloc[0]}, {mine['loss'].iloc[0] or 'distilled'}",
        )
        for _, mine in frame.groupby("comparison", sort=True)
    ]


def table4(frame: pd.DataFrame) -> Table:
    """All datasets and losses: tuned and stochastic, and on VOC the student alone, which the paper has not."""
    alone = (frame["dataset"] == "voc") & (frame["method"] == METHODS["student"])
    chosen = frame[frame["method"].isin(COMPARED) | alone].sort_values(["dataset", "loss"], kind="stable")
    return layout(chosen, 4, words=("dataset", "loss", "method"), measures=COSTS, title="losses × datasets")


def table5(frame: pd.DataFrame) -> Table:
    """Accuracy, precision, recall, specificity, Cohen's κ, prevalence and F1: teachers and all policies."""
    chosen = frame[frame["metric"] == ACCURACY]
    notes = ["macro means over classes, fractions; on the test set, of the validation-chosen incumbent"]
    words = ("dataset", "loss", "method")
    return layout(chosen, 5, words=words, measures=METRICS, title="metrics", notes=notes)


def table6(frame: pd.DataFrame) -> Table:
    """Data-free distillation: tuned and stochastic τ on images made by each method, which stands as the loss."""
    chosen = frame[frame["method"].isin(COMPARED) & (frame["synthesis"] != "")]
    chosen = chosen.sort_values(["dataset", "loss"], kind="stable")
    notes = [
        f"ours: the images of {row['dataset']} by {row['loss']} took {number(row['images_kwh'])} kWh and "
        f"{number(row['images_flops'] / 1e15)} GFLOPs (M) a replicate, which is in no row; the paper's rows have none"
        for row in as_rows(chosen.dropna(subset=["images_flops"]).drop_duplicates("comparison"))
    ]
    words = ("dataset", "loss", "method")
    return layout(chosen, 6, words=words, measures=COSTS, title="data-free distillation", notes=notes)


def table7(frame: pd.DataFrame) -> Table:
    """All pairs of teacher and student: tuned and stochastic."""
    chosen = frame[frame["method"].isin(COMPARED)].sort_values(["teacher", "student"], kind="stable")
    words = ("teacher", "student", "dataset", "method")
    return layout(chosen, 7, words=words, measures=COSTS, title="teachers × students")


COMPRESSIONS = {"student alone": "no compression", "quantization-aware training": "quantization"}
"""What Table 8 calls methods that have another name elsewhere."""


def table8(frame: pd.DataFrame) -> Table:
    """No compression, quantization, tuned and stochastic τ; below them quantized students that were distilled."""
    order = [*COMPRESSIONS, *COMPARED, *(f"{method}, quantized" for method in COMPARED)]
    chosen = frame[frame["method"].isin(order) & (frame["metric"] == ACCURACY) & (frame["synthesis"] == "")]
    chosen = chosen.assign(compression=chosen["method"].replace(COMPRESSIONS))
    # Quantized students are another comparison, and stand among the others.
    chosen = chosen.assign(place=chosen["method"].map(order.index)).sort_values(["dataset", "place"], kind="stable")
    words, title = ("dataset", "student", "compression"), "quantization and distillation"
    notes = ["ours: quantized is the int8 network; a quantized student that was distilled is a row the paper has not"]
    return layout(chosen, 8, words=words, measures=COSTS, title=title, notes=notes)


def tables(records: Records, currency: str) -> list[Table]:
    """All of them; the paper's tables have all their currencies side by side."""
    if records.outcomes.empty:
        return []
    frame = paper_frame(records.outcomes, records.runs, records.trials)
    real = frame[(frame["synthesis"] == "") & ~frame["quantized"]]
    compressed = [table8(frame), int8_beside_float32(records)] if frame["quantized"].any() else []
    return [*table1(real), table4(real), table5(real), table6(frame), table7(real), *compressed]


def _tested(trials: pd.DataFrame) -> pd.DataFrame:
    """By trial, the metrics of its test."""
    tested = columns(trials, tuple(COLUMNS.values())).dropna(subset=["test_score"])
    return _metrics(tested.drop_duplicates("trial_id", keep="last").set_index("trial_id"))


def _metrics(tested: pd.DataFrame) -> pd.DataFrame:
    """The metrics of tests under the paper's names, NaN where a test has not one."""
    return columns(tested, tuple(COLUMNS.values()))[list(COLUMNS.values())].apply(as_float).set_axis(METRICS, axis=1)


def _teacher(runs: pd.DataFrame) -> dict[str, Any]:
    """The teachers of some runs, each once."""
    names = ("teacher_test_score", "teacher_energy_j", "teacher_co2e_g")
    teachers = columns(runs, ("teacher_id", "teacher_test_metrics_json", *names)).drop_duplicates("teacher_id")
    mean = {name: as_float(teachers[name]).mean() for name in names}
    tested = pd.DataFrame(teachers["teacher_test_metrics_json"].dropna().map(json.loads).tolist())
    return {
        "method": TEACHER,
        "shared": False,
        "n": len(teachers),
        "score": 100 * mean["teacher_test_score"],
        "spread": 100 * as_float(teachers["teacher_test_score"]).std(ddof=1),
        "gflops_m": np.nan,  # the paper's convention counts a distillation, not a teacher's own training
        "energy_kwh": mean["teacher_energy_j"] / JOULES_PER_KWH,
        "co2e_g": mean["teacher_co2e_g"],
        **_metrics(tested).mean(),
    }


def _ours(group: pd.DataFrame, flops_paper: pd.Series, tested: pd.DataFrame, shared: pd.Series) -> dict[str, Any]:
    """The means of one policy's runs that count, NaN where there is none; FLOPs by run, metrics by trial."""
    counted = group[group["counted"]]
    score = 100 * counted["test_score"]
    return {
        "n": len(counted),
        "score": score.mean(),
        "spread": score.std(ddof=1),
        "gflops_m": as_float(counted["run_id"].map(flops_paper)).mean(skipna=False) / 1e15,
        "energy_kwh": counted["energy_j"].mean(skipna=False) / JOULES_PER_KWH,
        "co2e_g": counted["co2e_g"].mean(skipna=False),
        "images_kwh": (counted["energy_j_with_images"] - counted["energy_j"]).mean() / JOULES_PER_KWH,
        "images_flops": (counted["flops_executed_with_images"] - counted["flops_executed"]).mean(),
        "shared": bool(as_float(shared.reindex(counted["run_id"])).fillna(0).gt(0).any()),
        **tested.reindex(counted["incumbent"]).mean(),
    }


if __name__ == "__main__":
    raise SystemExit(main(tables, __doc__))
