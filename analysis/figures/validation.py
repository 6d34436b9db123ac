"""Validation scores over the epochs of single trials, as a chart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.figures.charts import Chart
from analysis.figures.marks import marks
from analysis.runs.accounting import as_float

MOST = 24  # as many curves as can be told apart


def validation_chart(reports: pd.DataFrame, labels: Mapping[str, str], metric: str) -> Chart | None:
    """One curve for each trial in ``labels`` (by its id), in their order; the last :data:`MOST` of those with reports.

    An epoch that several attempts reported is that of the last one.
    """
    mine = reports[reports["trial_id"].isin(labels)].sort_values(["trial_id", "epoch", "attempt"])
    mine = mine.drop_duplicates(["trial_id", "epoch"], keep="last")
    by_trial = dict(list(mine.groupby("trial_id")))
    drawn = [trial_id for trial_id in labels if trial_id in by_trial][-MOST:]
    if not drawn:
        return None
    marked = marks([labels[trial_id] for trial_id in drawn])
    series = [{**marked[labels[trial_id]], "rows": {"epoch": _rows(by_trial[trial_id])}} for trial_id in drawn]
    axes = {"epoch": {"label": "epoch", "unit": "epochs", "log": False}}
    title = f"Validation {metric} by epoch"
    return {"kind": "curve", "title": title, "y": f"{metric} %", "axes": axes, "series": series}


def _rows(reports: pd.DataFrame) -> list[list[float | None]]:
    """[epoch, score in percent, no interval]; a score that is not finite is null."""
    scores = 100 * as_float(reports["val_score"]).to_numpy()
    shown = [float(f"{score:.6g}") if np.isfinite(score) else None for score in scores]
    return [[int(epoch), score, None, None] for epoch, score in zip(reports["epoch"], shown, strict=True)]
