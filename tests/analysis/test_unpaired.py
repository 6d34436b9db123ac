"""Tests by means and deviations alone against scipy and statsmodels on samples that have them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind

from analysis.statistics.paired import BETTER, EQUIVALENT, INCONCLUSIVE, WORSE, verdicts
from analysis.statistics.unpaired import unpaired

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("n", [3, 5, 12])
@pytest.mark.parametrize("shift", [-1.0, 0.0, 0.2])
def test_interval_and_p_values_are_those_of_whole_samples(n: int, shift: float) -> None:
    a, b = RNG.normal(70 + shift, 0.1, n), RNG.normal(70, 0.3, n)
    ours = unpaired(a.mean(), a.std(ddof=1), b.mean(), b.std(ddof=1), n, 0.3)
    theirs = stats.ttest_ind(a, b, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert (ours.mean, ours.low, ours.high) == pytest.approx((a.mean() - b.mean(), interval.low, interval.high))
    assert ours.p_difference == pytest.approx(theirs.pvalue)
    assert ours.p_equivalence == pytest.approx(ttost_ind(a, b, -0.3, 0.3, usevar="unequal")[0])


def test_a_missing_deviation_leaves_the_difference_and_no_more() -> None:
    found = unpaired(np.array([2.0]), np.array([0.1]), np.array([1.0]), np.array([np.nan]), 5, 0.3)
    assert found.mean == 1
    assert np.isnan([found.low, found.high, found.p_difference, found.p_equivalence]).all()


def test_verdicts_are_those_of_pairs() -> None:
    means, spread = np.array([1.0, -1.0, 0.0, 0.3]), np.full(4, 0.05)
    found = unpaired(means, spread, np.zeros(4), spread, 5, 0.3)
    assert verdicts(found)[:3].tolist() == [BETTER, WORSE, EQUIVALENT]
    assert verdicts(unpaired(np.array([0.3]), np.array([0.5]), np.zeros(1), np.array([0.5]), 5, 0.3)) == [INCONCLUSIVE]
