"""Which of the paper's data sets a run is about."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

import pandas as pd

from analysis.paper.numbers import DATASETS, plain


def scenario_words(run: pd.Series) -> dict[str, Any]:
    """What a row of ``runs`` is about.

    dataset, teacher, student, loss, synthesis, quantized, epochs, train_limit, image_size and made.
    ``synthesis`` is the method by which images are made out of the teacher, and then ``loss``, too, as in the paper's
    Table 6; without one it is "". ``made`` is how many images are made. ``quantized``: are students quantized to int8?
    """
    fields = json.loads(run["scenario_json"]) if isinstance(run.get("scenario_json"), str) else {}
    recipe = fields.get("recipe") or {}
    words: dict[str, Any] = {name: fields.get(name) or "" for name in ("teacher", "student", "loss")}
    dataset = dataset_of(str(run["scenario"]), fields.get("data", "")) or str(run["scenario"])
    limits = {name: fields.get(name) for name in ("train_limit", "image_size")}
    synthesis = fields.get("synthesis") or {}
    words["synthesis"] = synthesis.get("method", "")
    words["loss"] = words["synthesis"] or words["loss"]
    words["quantized"] = bool(fields.get("quantization"))
    return {"dataset": dataset, **words, "epochs": recipe.get("epochs"), **limits, "made": synthesis.get("images")}


def dataset_of(scenario: str, data: str) -> str | None:
    """Which of the paper's datasets a scenario is about, by its name or that of its folder; None for another one.

    ``data`` is a folder's path or the name of a data set; such a name counts for more than the scenario's.
    """
    folder = PurePath(data)
    called = (scenario, folder.name) if folder.is_absolute() or not data else (data,)
    names = {plain(name.removesuffix("-data-free")) for name in called}
    return next((dataset for dataset, known in DATASETS.items() if names & set(known)), None)
