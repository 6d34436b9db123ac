"""What detectors found in a few test images, as their tests recorded it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pandas as pd

from analysis.runs.accounting import columns
from analysis.runs.outcomes import each_policy


class Found(NamedTuple):
    """The examples of one test: images with their objects and detections, in a square of ``size`` pixels."""

    trial_id: str
    threshold: float  # the least probability of a detection that is among them
    examples: list[dict[str, Any]]  # image, size, objects, detections, and of some data a jpeg in base64


def detections(outcomes: pd.DataFrame, trials: pd.DataFrame) -> dict[tuple[int, str], Found]:
    """By comparison and policy, what the incumbent of the first replicate found. What recorded none is left out."""
    known = columns(trials, ("test_metrics_json",)).dropna(subset=["test_metrics_json"])
    recorded = known.drop_duplicates("trial_id", keep="last").set_index("trial_id")["test_metrics_json"]
    found: dict[tuple[int, str], Found] = {}
    for comparison, label, mine in each_policy(outcomes[outcomes["counted"]]):
        first = mine.sort_values("replicate", kind="stable")["incumbent"].iloc[0]
        metrics = json.loads(recorded[first]) if first in recorded.index else {}
        if metrics.get("examples"):
            found[comparison, label] = Found(str(first), metrics["score_threshold"], metrics["examples"])
    return found
