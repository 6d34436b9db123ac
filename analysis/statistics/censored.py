"""Costs that are censored at a budget: RMST, ERT, PAR-2, success rates and survival."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import ndtri

DRAWS = 10_000  # of the weights of an interval: its level is known to 0.2 percentage points


def rmst(cost: np.ndarray, budget: float) -> float:
    """Restricted mean cost to target: the mean of min(cost, budget), which is the area under the survival curve."""
    return float(np.minimum(cost, budget).mean())


def bounded_mean_interval(cost: np.ndarray, budget: float, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The ends of an interval of the mean of ``cost`` [..., n], which lies between 0 and ``budget``.

    Gaffke's (2005; Learned-Miller & Thomas 2019, arXiv:1905.06208). The costs and one more, the budget for the upper
    end and 0 for the lower, are weighted at random, uniformly over all weights that add up to one; the ends are
    quantiles of the weighted mean. Where every cost is 0 or the budget this is Clopper and Pearson's interval. That it
    covers ``level`` for any costs is conjectured; docs/decisions/statistics.md has what was found beside Student's t.
    """
    weights = _weights(cost.shape[-1])
    sums = np.sort(cost, axis=-1) @ weights[:, :-1].T  # sorted: the same runs in another order have the same interval
    higher = sums + budget * weights[:, -1]
    return _quantile(sums, (1 - level) / 2), _quantile(higher, (1 + level) / 2)


def _quantile(values: np.ndarray, share: float) -> np.ndarray:
    """numpy's along the last axis of ``values``, which it sorts: for thousands of them a quarter of the time."""
    values.sort(axis=-1)
    return np.quantile(values, share, axis=-1, overwrite_input=True)


@lru_cache(64)
def _weights(n: int) -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(n + 1), DRAWS)


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
