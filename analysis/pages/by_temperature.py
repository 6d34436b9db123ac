"""Do the trainings of a grid differ by their temperature at all? Where they do not, its choice may be one of seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare

from analysis.runs.accounting import as_float, columns


def friedman(grid: pd.DataFrame, trials: pd.DataFrame) -> float:
    """The p value of Friedman's test for test scores by τ, each run of ``grid`` a block of its completed trials.

    NaN where fewer than three runs have tested the same three values of τ or more.
    """
    trials = columns(trials, ("tau", "test_score"))
    tested = trials[(trials["status"] == "completed") & trials["run_id"].isin(grid["run_id"])]
    tested = tested.assign(tau=as_float(tested["tau"]), test_score=as_float(tested["test_score"]))
    table = tested.pivot_table(index="run_id", columns="tau", values="test_score").dropna()
    return float(friedmanchisquare(*table.to_numpy().T).pvalue) if min(table.shape) > 2 else np.nan
