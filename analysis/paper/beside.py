"""A table in the paper's layout: our numbers, and beside each the paper's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.captions import replicates
from analysis.paper.numbers import (
    DATA_FREE_EPOCHS,
    EPOCHS,
    NOTES,
    PIXELS,
    PUBLIC_STUDENT,
    SCORES,
    TEACHER,
    WORDS,
    paper_row,
)
from analysis.rendering.table import Table, as_rows, number, plus_minus
from analysis.runs.accounting import as_float
from analysis.runs.metric import SCORE, metric_of
from tune_kd.formats import MISSING, plural
from tune_kd.store.columns import ACCURACY

PROTOCOL = ("epochs", "train_limit", "image_size", "made")
ACCOUNT = ("energy_method", "shared")
NONE_BESIDE = "paper: its numbers stand beside rows of its data, loss and networks, and here is none"


def fixed(value: float, digits: int) -> str:
    """``value`` with so many digits after its point, or an em dash."""
    return f"{value:.{digits}f}" if math.isfinite(value) else MISSING


class Measure(NamedTuple):
    """What stands over a column, and how our number and the paper's are written."""

    head: str
    ours: Callable[[float], str] = partial(fixed, digits=4)
    papers: Callable[[float], str] = partial(fixed, digits=2)


_COST = partial(Measure, ours=partial(number, digits=4), papers=partial(number, digits=5))
MEASURES = {
    "gflops_m": _COST("GFLOPs (M)"),
    "energy_kwh": _COST("kWh"),
    "co2e_g": _COST("g CO2e"),
    "precision": Measure("precision"),
    "recall": Measure("recall"),
    "specificity": Measure("specificity"),
    "kappa": Measure("κ"),
    "prevalence": Measure("prevalence"),
    "f1": Measure("F1"),
}


def layout(
    rows: pd.DataFrame,
    table: int,
    *,
    words: Sequence[str],
    measures: Sequence[str],
    title: str,
    notes: Sequence[str] = (),
) -> Table:
    """Rows of :func:`analysis.tables.paper_frame` as the paper's ``table``: ``words``, the score, the ``measures``.

    Its data have the paper's numbers in columns ``paper_*``, NaN where it has none.
    """
    theirs = [paper_row(table, row) for row in as_rows(rows)]
    numbers = [*SCORES, *measures]
    data = rows[["comparison", "metric", *dict.fromkeys((*WORDS, *words)), "n", *PROTOCOL, *ACCOUNT, *numbers]].copy()
    data[numbers] = data[numbers].apply(as_float)
    for name in numbers:
        data[f"paper_{name}"] = [row.numbers.get(name, np.nan) if row else np.nan for row in theirs]
    contradictions = dict.fromkeys(key for row in theirs if row and row.table == table for key in row.notes)
    step = 1 if any(theirs) else 2  # without one number of the paper its columns are left out
    return Table(
        title=f"Table {table} layout: {title}",
        headers=[*words, *_heads(metric_of(rows), measures)[::step]],
        rows=[[*(str(row[word]) for word in words), *_cells(row, measures)[::step]] for row in as_rows(data)],
        data=data,
        notes=[
            *notes,
            *_ours(data),
            *(_account(data) if "energy_kwh" in measures else []),
            _papers(data) if any(theirs) else NONE_BESIDE,
            *(f"paper: {NOTES[key]}" for key in contradictions),
            *_on_voc(data),
        ],
        text_columns=len(words),
        caption=_caption(data, table, title, measures, beside=any(theirs)),
    )


def _caption(rows: pd.DataFrame, table: int, title: str, measures: Sequence[str], *, beside: bool) -> str:
    """In plain words: what is in it, of how many replicates, how computed."""
    counts = rows["n"][rows["method"] != TEACHER]
    heads = ", ".join(MEASURES[name].head for name in measures)
    theirs = f" Beside ours stand the numbers of the paper's Table {table}." if beside else ""
    return (
        f"In the layout of the paper's Table {table} ({title}): test {metric_of(rows)} in percent of the incumbent, "
        f"which validation chose, mean ± standard deviation over {replicates(counts)}; {heads}: means over "
        f"replicates.{theirs}"
    )


def _heads(metric: str, measures: Sequence[str]) -> list[str]:
    heads = ["acc. %" if metric == ACCURACY else f"{metric} %", *(MEASURES[name].head for name in measures)]
    return [head for ours in heads for head in (ours, "paper")]


def _cells(row: Mapping[str, Any], measures: Sequence[str]) -> list[str]:
    cells = [plus_minus(row[f"{side}score"] / 100, row[f"{side}spread"] / 100, 2) for side in ("", "paper_")]
    for name in measures:
        cells += [MEASURES[name].ours(row[name]), MEASURES[name].papers(row[f"paper_{name}"])]
    return cells


def _ours(rows: pd.DataFrame) -> list[str]:
    """What ours were trained on and how often, by data set."""
    ours = []
    for _, row in rows.drop_duplicates(["dataset", *PROTOCOL]).iterrows():
        part = "all training images" if pd.isna(row["train_limit"]) else f"{row['train_limit']:g} training images"
        part = part if pd.isna(row["made"]) else f"{row['made']:g} synthesised images"
        size = row["image_size"]
        other = pd.notna(size) and size != PIXELS.get(row["dataset"], size)
        pixels = f" of {size:g} × {size:g} pixels" if other else ""
        epochs = plural(row["epochs"], "epoch") if row["epochs"] else "an unknown number of epochs"
        ours.append(f"{row['dataset']}: {epochs} on {part}{pixels}")
    counts = sorted(set(rows["n"][rows["method"] != TEACHER]))
    repeats = [f"{counts[0]} to {counts[-1]} replicates" if len(counts) > 1 else plural(n, "replicate") for n in counts]
    return [f"ours: {'; '.join([*ours, *repeats[:1]])}"] if ours else []


def _account(rows: pd.DataFrame) -> list[str]:
    """How our energy is to be read beside the paper's."""
    said = []
    if (rows["energy_method"] == "model").any():
        said.append("kWh are a power model's")
    if rows["shared"].fillna(False).any():
        said.append("trainings of a run share the teacher's answers; with --no-share-teacher each asks for itself")
    return [f"ours: {'; '.join(said)}"] if said else []


def _papers(rows: pd.DataFrame) -> str:
    """The paper's protocol for the data sets of these rows."""
    real = rows["made"].isna().all()
    counts, images = (EPOCHS, "all") if real else (dict.fromkeys(EPOCHS, DATA_FREE_EPOCHS), "synthesised")
    epochs = " or ".join(str(count) for count in sorted({counts.get(name, 100) for name in rows["dataset"]})) or "100"
    return f"paper: {epochs} epochs on {images} images, the best epoch on the test set{_counted(rows)}"


def _counted(rows: pd.DataFrame) -> str:
    """Why FLOPs by the paper's convention are fewer with us than in the paper; docs/studies.md has the figures."""
    if "gflops_m" not in rows:
        return ""
    said = "; GFLOPs in its convention, by forward passes"
    if rows["made"].notna().any():
        return said
    return f"{said}: its are of all training images and 20 trainings, ours leave out what validates (docs/studies.md)"


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
