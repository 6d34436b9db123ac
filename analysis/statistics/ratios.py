"""Ratios of costs with their intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from analysis.statistics.paired import LEVEL


class CostRatio(NamedTuple):
    """A ratio of paired costs, its 95 % interval, and its one-sided 95 % bounds."""

    ratio: float
    ratio_low: float
    ratio_high: float
    ratio_lower: float
    ratio_upper: float


def cost_ratio(numerator: np.ndarray, denominator: np.ndarray) -> CostRatio:
    """The geometric mean of the ratios of paired costs, with t intervals of the log ratios, since costs multiply.

    "At most 1/19 of the energy" holds at the 5 % level if ratio_upper is below 1/19. NaN where one of the costs is not
    known, as the others need not be like it; the bounds need two pairs.
    """
    if not ((numerator > 0) & (denominator > 0)).all():
        return CostRatio(*[np.nan] * 5)
    logs = np.log(numerator) - np.log(denominator)
    if len(logs) < 2:
        return CostRatio(float(np.exp(logs[0])) if len(logs) else np.nan, *[np.nan] * 4)
    error, freedom = logs.std(ddof=1) / np.sqrt(len(logs)), len(logs) - 1
    two_sided, one_sided = stdtrit(freedom, 1 - LEVEL / 2) * error, stdtrit(freedom, 1 - LEVEL) * error
    return CostRatio(*np.exp(logs.mean() + np.array([0, -two_sided, two_sided, -one_sided, one_sided])).tolist())
