"""What teachers and students said of the same test images, where they looked, and how sure they were, as recorded.

Logits and Grad-CAM maps are of the teacher and of each policy's incumbent of the first replicate. Accuracy, calibration
and confusion matrix are over all replicates' incumbents.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.data import confusions
from analysis.rendering.table import as_rows
from analysis.runs.accounting import as_float, columns
from analysis.runs.outcomes import each_policy
from analysis.runs.reading import Records

TEACHER = "teacher"
TESTED = ("example_logits", "example_maps", "example_layer", "reliability", "ece")


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The k images: what each is called, the class that its maps are of, and its pixels."""

    names: Sequence[str]
    indices: Sequence[int]  # in the test set; none of files
    labels: Sequence[int]
    classes: Sequence[str]
    pictures: Sequence[np.ndarray] | None  # each uint8 [height, width] or [height, width, 3]; None: not in the store

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, kw_only=True)
class Explained:
    """What one network, the teacher or a policy's student, says."""

    label: str
    trial_id: str | None  # that the logits and maps are of; None for the teacher
    scores: np.ndarray  # test accuracy of each replicate's incumbent, fractions
    errors: np.ndarray  # expected calibration error of each, fractions
    bins: np.ndarray | None  # [bins, 3]: images, accuracy and confidence, of all replicates together
    confusion: np.ndarray | None  # [classes, classes], summed over replicates
    logits: np.ndarray | None  # [k, n]
    maps: np.ndarray | None  # [k, h, w], not scaled
    layer: str | None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The networks of one comparison, the teacher first."""

    examples: Examples
    networks: Sequence[Explained]


def explanations(records: Records) -> dict[int, Explanation]:
    """By comparison, what is recorded; nothing for one whose runs have no example images, as of detection."""
    tested = columns(records.trials, TESTED).drop_duplicates("trial_id", keep="last").set_index("trial_id")
    runs = columns(records.runs, ("examples_json", "teacher_test_metrics_json", "teacher_test_score"))
    runs = runs.drop_duplicates("run_id").set_index("run_id")
    matrices = confusions(records.outcomes, records.trials)
    found: dict[int, Explanation] = {}
    for comparison, mine in records.outcomes[records.outcomes["counted"]].groupby("comparison", sort=False):
        rows = runs.loc[mine["run_id"]]
        kept = rows["examples_json"].dropna()
        if len(kept):
            place = int(str(comparison))
            students = [
                _student(label, incumbents, tested, matrices.get((place, label)))
                for _, label, incumbents in each_policy(mine)
            ]
            examples = _examples(json.loads(kept.iloc[0]))
            found[place] = Explanation(examples=examples, networks=[*_teacher(rows), *students])
    return found


def _examples(kept: Mapping[str, Any]) -> Examples:
    return Examples(
        names=[f"test image {index}" for index in kept["images"]],
        indices=kept["images"],
        labels=kept["labels"],
        classes=kept["classes"],
        pictures=[_pixels(text) for text in kept["png"]] if "png" in kept else None,
    )


def _pixels(png: str) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


def _student(label: str, runs: pd.DataFrame, tested: pd.DataFrame, confusion: np.ndarray | None) -> Explained:
    incumbents = runs.sort_values("replicate", kind="stable")["incumbent"]
    rows = tested.reindex(incumbents)
    first = rows.iloc[0]
    bins = [_bins(value) for value in rows["reliability"] if value is not None and np.ndim(value)]
    return Explained(
        label=label,
        trial_id=str(incumbents.iloc[0]),
        scores=as_float(runs["test_score"]).to_numpy(),
        errors=as_float(rows["ece"]).dropna().to_numpy(),
        bins=_together(bins),
        confusion=confusion,
        logits=_array(first["example_logits"]),
        maps=_array(first["example_maps"]),
        layer=first["example_layer"] if isinstance(first["example_layer"], str) else None,
    )


def _teacher(runs: pd.DataFrame) -> list[Explained]:
    """The teacher of the first run that has one with these figures."""
    known = runs.dropna(subset=["teacher_test_metrics_json"])
    for row in as_rows(known):
        tested = json.loads(row["teacher_test_metrics_json"])
        if "reliability" in tested:
            return [
                Explained(
                    label=TEACHER,
                    trial_id=None,
                    scores=np.array([row["teacher_test_score"]], dtype=float),
                    errors=np.array([tested["ece"]] if tested["ece"] is not None else []),
                    bins=_bins(tested["reliability"]),
                    confusion=np.array(tested["confusion"]),
                    logits=_array(tested["example_logits"]),
                    maps=_array(tested["example_maps"]),
                    layer=tested["example_layer"],
                )
            ]
    return []


def _array(nested: Any) -> np.ndarray | None:
    """Lists in lists, which pandas gives as arrays of arrays; None for null."""
    if nested is None or np.ndim(nested) == 0:
        return None
    return np.array([_array(inner) if np.ndim(inner) else inner for inner in nested], dtype=float)


def _bins(recorded: Sequence[Mapping[str, Any]]) -> np.ndarray:
    rows = [[one.get(name) or 0.0 for name in ("images", "accuracy", "confidence")] for one in recorded]
    return np.array(rows, dtype=float)


def _together(bins: Sequence[np.ndarray]) -> np.ndarray | None:
    """The bins of several tests as those of all their images."""
    if not bins:
        return None
    images = np.sum([one[:, 0] for one in bins], axis=0)
    sums = np.sum([one[:, :1] * one[:, 1:] for one in bins], axis=0)
    return np.column_stack([images, sums / np.maximum(images, 1)[:, None]])


def with_pictures(found: Explanation, images: np.ndarray) -> Explanation:
    """The same with its images, uint8 [k, C, H, W]."""
    return replace(found, examples=replace(found.examples, pictures=[_shown(image) for image in images]))


def asked_again(
    found: Explanation,
    *,
    names: Sequence[str],
    labels: Sequence[int],
    pictures: np.ndarray,
    teacher: Mapping[str, Any] | None,
    students: Mapping[str, Mapping[str, Any]],
) -> Explanation:
    """The same networks about other images, uint8 [k, C, H, W], or at another layer.

    ``teacher`` and ``students``, by trial, have the columns of ``trials``.
    """

    def said(one: Explained) -> Explained:
        columns = teacher if one.trial_id is None else students[one.trial_id]
        assert columns is not None, "a teacher that is recorded was asked"
        maps, logits = _array(columns["example_maps"]), _array(columns["example_logits"])
        return replace(one, logits=logits, maps=maps, layer=columns["example_layer"])

    shown = [_shown(image) for image in pictures]
    examples = replace(found.examples, names=names, indices=(), labels=labels, pictures=shown)
    return Explanation(examples=examples, networks=[said(one) for one in found.networks])


def _shown(image: np.ndarray) -> np.ndarray:
    """[C, H, W] as [H, W] or [H, W, 3]."""
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)


def teacher_of(found: Explanation) -> Explained | None:
    """The teacher, if it is there."""
    return next((one for one in found.networks if one.trial_id is None), None)
