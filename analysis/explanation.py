"""Teacher and students side by side: accuracy, calibration, and where they look; the paper's Figure 4 in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.captions import explanation_caption
from analysis.command import main
from analysis.figures.explanations import Explained, Explanation, explanations, teacher_of
from analysis.rendering.table import Table, number, plus_minus
from analysis.runs.reading import Records
from tune_kd.formats import MISSING, plural

PIXELS = 128  # side of the picture on which maps are compared: a multiple of the usual grids and images


def probabilities(logits: np.ndarray, tau: float = 1.0) -> np.ndarray:
    """softmax(logits / τ) over the last axis."""
    shifted = (logits - logits.max(axis=-1, keepdims=True)) / tau
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def enlarged(grid: np.ndarray, side: int, *, smooth: bool = True) -> np.ndarray:
    """A map [h, w] as one of ``side`` × ``side``: bilinear, or its cells as they are."""
    from PIL import Image

    how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(grid.astype(np.float32)).resize((side, side), how))


def cosines(ours: Explained, theirs: Explained) -> np.ndarray:
    """Of each image, the cosine of two networks' maps, both enlarged to the same size; NaN where one is all zero."""
    if ours.maps is None or theirs.maps is None:
        return np.array([])
    return np.array([_cosine(*pair) for pair in zip(ours.maps, theirs.maps, strict=True)])


def _cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    one, other = (enlarged(grid, PIXELS).ravel().astype(float) for grid in (ours, theirs))
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norm if norm else float("nan")


def explanation_table(found: Explanation) -> Table:
    """A row for each network: accuracy, calibration, and how alike its maps are to the teacher's."""
    teacher = teacher_of(found)
    known = [_row(one, teacher) for one in found.networks]
    rows = [
        [
            row["network"],
            plus_minus(row["score"], row["score_spread"], 2),
            plus_minus(row["ece"], row["ece_spread"], 2),
            _with_spread(row["cosine"], row["cosine_spread"]),
            row["layer"] or MISSING,
            row["grid"] or MISSING,
        ]
        for row in known
    ]
    count = plural(len(found.examples), "image")
    notes = [
        "ECE: expected calibration error, |accuracy − confidence| over 15 bins of confidence; ± over replicates",
        f"cosine: of the Grad-CAM map of an image to the teacher's of the same class, mean ± over {count} of the first "
        "replicate; 1: the same shape",
    ]
    headers = ["network", "acc. %", "ECE %", "cosine", "layer", "grid"]
    counts = pd.Series([len(one.scores) for one in found.networks if one.trial_id is not None])
    return Table(
        title="What the networks see",
        headers=headers,
        rows=rows,
        data=pd.DataFrame(known),
        notes=notes,
        caption=explanation_caption(counts, len(found.examples)),
    )


def _row(one: Explained, teacher: Explained | None) -> dict[str, Any]:
    alike = np.array([]) if teacher is None or one is teacher else cosines(one, teacher)
    alike = alike[np.isfinite(alike)]
    grid = None if one.maps is None else " × ".join(map(str, one.maps.shape[1:]))
    values = {"score": one.scores, "ece": one.errors, "cosine": alike}
    measured = {
        name: value
        for key, some in values.items()
        for name, value in ((key, _mean(some)), (f"{key}_spread", _spread(some)))
    }
    return {"network": one.label, "trial_id": one.trial_id, **measured, "layer": one.layer, "grid": grid}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _spread(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _with_spread(mean: float, spread: float) -> str:
    return number(mean, 3) + (f" ±{spread:.2f}" if np.isfinite(spread) else "")


def tables(records: Records, currency: str) -> list[Table]:
    """One for each comparison that has example images."""
    return [explanation_table(found) for found in explanations(records).values()]


if __name__ == "__main__":
    raise SystemExit(main(tables, __doc__))
