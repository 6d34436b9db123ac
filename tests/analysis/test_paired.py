"""The vectorised tests against scipy and statsmodels, and the verdicts' rules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from analysis.statistics.paired import (
    BETTER,
    EQUIVALENT,
    INCONCLUSIVE,
    WORSE,
    holm,
    paired,
    replicates_needed,
    verdicts,
)

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40])
@pytest.mark.parametrize("shift", [-0.004, 0.0, 0.001, 0.003])
def test_interval_and_p_values_are_those_of_scipy_and_statsmodels(n: int, shift: float) -> None:
    a, b = RNG.normal(0.9 + shift, 0.002, n), RNG.normal(0.9, 0.002, n)
    ours, theirs = paired(a - b, 0.003), stats.ttest_rel(a, b)
    interval = theirs.confidence_interval(0.95)
    assert ours.p_difference == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert ours.p_equivalence == pytest.approx(ttost_paired(a, b, -0.003, 0.003)[0], rel=1e-9)


def test_pairs_with_a_missing_half_are_left_out() -> None:
    differences = np.array([0.1, np.nan, 0.3, 0.2, np.nan])
    whole = paired(np.array([0.1, 0.3, 0.2]), 0.1)
    holed = paired(differences, 0.1)
    assert holed.n == 3
    assert (holed.mean, holed.std, holed.p_equivalence) == (whole.mean, whole.std, whole.p_equivalence)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p_list: list[float]) -> None:
    p_values = np.array(p_list)
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)


def test_holm_counts_a_missing_test_as_none() -> None:
    adjusted = holm(np.array([0.01, np.nan, 0.04]))
    assert adjusted[[0, 2]] == pytest.approx(multipletests([0.01, 0.04], method="holm")[1])
    assert np.isnan(adjusted[1])


@given(arrays(float, (3, 7), elements=st.floats(0, 1)))
def test_many_families_at_once_are_each_their_own(p_values: np.ndarray) -> None:
    assert holm(p_values) == pytest.approx(np.stack([holm(row) for row in p_values]))


def test_one_replicate_or_none_says_nothing() -> None:
    for differences in (np.empty((1, 0)), np.array([[0.5]]), np.array([[np.nan, 0.5]])):
        result = paired(differences, 0.003)
        assert verdicts(result).tolist() == [INCONCLUSIVE]
        assert np.isnan(result.p_difference).all()
        assert np.isnan(result.low).all()


def test_no_spread_between_replicates_says_nothing() -> None:
    result = paired(np.full((1, 5), 0.1 + 0.2 - 0.3 + 0.01), 0.003)
    assert result.std == 0
    assert np.isnan([result.low, result.high]).all(), "five equal counts of test images are no certainty"
    assert verdicts(result).tolist() == [INCONCLUSIVE]


def test_each_verdict_where_it_is_due() -> None:
    spread = np.array([-1.0, 1.0, -0.5, 0.5, 0.0]) * 1e-4
    rows = np.stack([0.01 + spread, -0.01 + spread, 0.0005 + spread, 0.003 + 300 * spread])
    assert verdicts(paired(rows, 0.003)).tolist() == [BETTER, WORSE, EQUIVALENT, INCONCLUSIVE]


def test_a_real_difference_within_the_margin_is_equivalent() -> None:
    rows = (0.001 + np.array([-1.0, 1.0, -0.5, 0.5, 0.0]) * 1e-4)[None]
    assert paired(rows, 0.003).p_difference < 0.001
    assert verdicts(paired(rows, 0.003)).tolist() == [EQUIVALENT]
    assert verdicts(paired(rows, None)).tolist() == [BETTER]


@given(arrays(float, (4, 6), elements=st.floats(-0.02, 0.02).map(lambda x: round(x, 4))))
def test_swapping_the_policies_swaps_better_and_worse(differences: np.ndarray) -> None:
    swap = np.array([INCONCLUSIVE, WORSE, BETTER, EQUIVALENT])
    assert verdicts(paired(-differences, 0.003)).tolist() == swap[verdicts(paired(differences, 0.003))].tolist()


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.002), (0.001, 0.003), (0.004, 0.003)])
def test_replicates_needed_give_the_power_they_promise(mean: float, std: float) -> None:
    n = replicates_needed(mean, std, 0.003)
    assert n is not None
    rng = np.random.default_rng(1)
    conclusive = [
        np.mean(verdicts(paired(rng.normal(mean, std, (4000, 1, size)), 0.003)) != INCONCLUSIVE) for size in (n, n - 2)
    ]
    assert conclusive[0] >= 0.78
    assert conclusive[1] < conclusive[0]


def test_what_no_affordable_number_of_replicates_can_tell_is_none() -> None:
    assert replicates_needed(0.003, 0.1, 0.003, most=100) is None
    assert replicates_needed(0.0, 0.0, 0.003) is None
