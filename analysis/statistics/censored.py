"""Costs that are censored at a budget: RMST, ERT, PAR-2, success rates and survival."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri


def rmst(cost: np.ndarray, budget: float) -> float:
    """Restricted mean cost to target: the mean of min(cost, budget), which is the area under the survival curve."""
    return float(np.minimum(cost, budget).mean())


def expected_cost(spent: np.ndarray, reached: np.ndarray) -> float:
    """ERT: all that was spent over the number of successes: the expected cost of running again until it succeeds."""
    return float(spent.sum() / reached.sum()) if reached.any() else float("inf")


def par2(cost: np.ndarray, reached: np.ndarray, budget: float) -> float:
    """PAR-2: the mean cost with every miss counted as twice the budget."""
    return float(np.where(reached, cost, 2 * budget).mean())


def wilson(successes: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion; (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    z, rate = float(ndtri((1 + level) / 2)), successes / n
    centre, scale = rate + z * z / (2 * n), 1 + z * z / n
    half = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return float(max(0.0, (centre - half) / scale)), float(min(1.0, (centre + half) / scale))


def kaplan_meier(cost: np.ndarray, reached: np.ndarray) -> pd.DataFrame:
    """Columns cost, missing (the share of runs that have not reached the target by then) and its standard error.

    statsmodels' SurvfuncRight; starts at (0, 1). Censored runs leave the curve where it is.
    """
    from statsmodels.duration.survfunc import SurvfuncRight

    if not reached.any():
        return pd.DataFrame({"cost": [0.0, cost.max()], "missing": 1.0, "error": np.nan})
    curve = SurvfuncRight(cost, reached.astype(int))
    start = pd.DataFrame({"cost": [0.0], "missing": [1.0], "error": [0.0]})
    steps = pd.DataFrame({"cost": curve.surv_times, "missing": curve.surv_prob, "error": curve.surv_prob_se})
    return pd.concat([start, steps], ignore_index=True)
