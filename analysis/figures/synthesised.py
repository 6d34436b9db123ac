"""Images that were synthesised out of a teacher, as the runs that used them recorded a few."""

from __future__ import annotations

import base64
import io
import json
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.rendering.table import as_rows
from analysis.runs.accounting import columns


class Sheet(NamedTuple):
    """The examples of one pool: a PNG with a row for each class, images of ``size`` pixels, ``gap`` pixels apart."""

    method: str
    agreement: float  # share of the whole pool that the teacher names as was aimed at, a fraction
    classes: list[str]  # of the rows, from above
    size: int
    gap: int
    png: bytes

    def pixels(self) -> np.ndarray:
        """The picture, uint8 [height, width] or [height, width, 3]. Raises OSError for what is no picture."""
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(self.png)))


def sheets(outcomes: pd.DataFrame, runs: pd.DataFrame) -> dict[int, Sheet]:
    """By comparison, the pool of the first replicate that has recorded examples."""
    known = columns(runs, ("pool_examples_json", "pool_agreement", "scenario_json"))
    known = known.dropna(subset=["pool_examples_json"]).drop_duplicates("run_id").set_index("run_id")
    found: dict[int, Sheet] = {}
    for row in as_rows(outcomes.sort_values("replicate", kind="stable")):
        if row["run_id"] in known.index and row["comparison"] not in found:
            run = known.loc[row["run_id"]]
            recorded = json.loads(run["pool_examples_json"])
            found[row["comparison"]] = Sheet(
                method=json.loads(run["scenario_json"])["synthesis"]["method"],
                agreement=float(run["pool_agreement"]),
                classes=recorded["classes"],
                size=recorded["size"],
                gap=recorded["gap"],
                png=base64.b64decode(recorded["png"]),
            )
    return found
