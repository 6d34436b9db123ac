"""What the counted runs of a comparison came to, by replicate and policy."""

from __future__ import annotations

import pandas as pd


def replicate_matrix(comparison: pd.DataFrame, column: str) -> pd.DataFrame:
    """``column`` of the counted runs of one comparison: [replicates × policies], NaN where a run is missing."""
    counted = comparison[comparison["counted"]]
    matrix = counted.pivot(index="replicate", columns="label", values=column).astype(float)
    return matrix.reindex(columns=comparison["label"].unique())
