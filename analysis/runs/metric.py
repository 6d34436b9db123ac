"""What the scores of some runs measure, as titles, heads of tables and sentences have it."""

from __future__ import annotations

import pandas as pd

from tune_kd.formats import score_name
from tune_kd.store.columns import ACCURACY

SCORE = "score"  # of runs that measure several things


def metric_of(rows: pd.DataFrame) -> str:
    """What the column ``metric`` says, ``score`` where it says several things; without it the accuracy."""
    names = [str(name) for name in rows["metric"].dropna().unique()] if "metric" in rows else []
    return SCORE if len(names) > 1 else next(iter(names), ACCURACY)


def in_percent(part: str, metric: str) -> str:
    """The head of a column of scores: ``val %`` of an accuracy, ``val mAP %`` of another metric."""
    return f"{score_name(part, metric)} %"


def at_start(metric: str) -> str:
    """The metric as the first word of a title. ``mAP`` stays as it is."""
    return metric.capitalize() if metric.islower() else metric
