"""Tests of differences of which only the means and standard deviations of two independent samples are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit
from scipy.stats import ttest_ind_from_stats

from analysis.statistics.paired import LEVEL


@dataclass(frozen=True, kw_only=True)
class Unpaired:
    """Differences a − b; every field has the shape of the input."""

    mean: np.ndarray
    low: np.ndarray  # 95 % interval by Welch's t
    high: np.ndarray
    p_difference: np.ndarray  # two-sided t test of no difference
    p_equivalence: np.ndarray  # TOST of a difference of the margin or more


def unpaired(a: np.ndarray, std_a: np.ndarray, b: np.ndarray, std_b: np.ndarray, n: int, margin: float) -> Unpaired:
    """Welch's tests of means ``a`` and ``b``, [...], of ``n`` values each, with their sample standard deviations."""
    errors = std_a**2 / n, std_b**2 / n
    error = np.sqrt(errors[0] + errors[1])
    freedom = error**4 / ((errors[0] ** 2 + errors[1] ** 2) / (n - 1))
    half = stdtrit(freedom, 1 - LEVEL / 2) * error

    def p_value(shift: float, alternative: str) -> np.ndarray:
        tested = ttest_ind_from_stats(a + shift, std_a, n, b, std_b, n, equal_var=False, alternative=alternative)
        return np.asarray(tested.pvalue)

    return Unpaired(
        mean=a - b,
        low=a - b - half,
        high=a - b + half,
        p_difference=p_value(0.0, "two-sided"),
        p_equivalence=np.maximum(p_value(margin, "greater"), p_value(-margin, "less")),
    )
