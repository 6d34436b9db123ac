"""Smallest differences that replicates can show: against statsmodels, and against the verdicts themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower
from synthetic import make_frames

from analysis.runs.outcomes import run_outcomes
from analysis.statistics.detectable import (
    USUAL_SD,
    detectable,
    difference_power,
    equivalence_power,
    pair_sds,
    paired_sd,
)


@pytest.mark.parametrize("replicates", [5, 10, 30])
def test_the_smallest_difference_is_that_of_statsmodels(replicates: int) -> None:
    found = detectable(replicates, margin=0.003).difference
    effect = TTestPower().solve_power(nobs=replicates, alpha=0.05, power=0.8)
    assert found == pytest.approx(effect * USUAL_SD, rel=1e-4)


@pytest.mark.parametrize("replicates", [3, 5, 10])
@pytest.mark.parametrize("pairs", [3, 10])
def test_for_more_pairs_the_smallest_difference_has_the_power_that_it_says(replicates: int, pairs: int) -> None:
    found = detectable(replicates, sd=1.0, margin=0.003, pairs=pairs).difference
    assert found is not None
    threshold = stats.t.ppf(1 - 0.025 / pairs, replicates - 1)
    assert stats.nct.sf(threshold, replicates - 1, found * np.sqrt(replicates)) == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize("replicates", [5, 10])
def test_the_smallest_margin_shows_equivalence_at_least_as_often_as_it_says(replicates: int) -> None:
    margin = detectable(replicates, sd=1.0, margin=1.0).margin
    assert margin is not None
    drawn = np.random.default_rng(1).normal(0, 1, (20_000, replicates))
    error = drawn.std(axis=1, ddof=1) / np.sqrt(replicates)
    shown = np.abs(drawn.mean(axis=1)) + stats.t.ppf(0.95, replicates - 1) * error < margin
    assert 0.79 < shown.mean() < 0.83


def test_more_replicates_show_less() -> None:
    found = [detectable(replicates, margin=0.003) for replicates in (2, 3, 5, 10, 20, 100)]
    for name in ("difference", "margin"):
        values = [getattr(row, name) for row in found]
        assert values == sorted(values, reverse=True)
    powers = [row.equivalence_power for row in found]
    assert powers == sorted(powers)


def test_one_replicate_shows_nothing() -> None:
    found = detectable(1, margin=0.003)
    assert (found.difference, found.margin, found.equivalence_power) == (None, None, None)


def test_without_an_effect_a_test_errs_at_its_level() -> None:
    assert difference_power(0.0, 10, 0.05) == pytest.approx(0.05)
    assert equivalence_power(0.0, 10) == 0


def test_the_spread_is_that_of_paired_differences() -> None:
    frames = make_frames(replicates=200, sigma=0.002)
    outcomes = run_outcomes(frames.runs, frames.trials, frames.nodes)
    one_trial = outcomes[outcomes["policy"].isin(["annealing", "stochastic"])]
    assert paired_sd(one_trial) == pytest.approx(0.002 * np.sqrt(2), rel=0.15)
    by_hand = one_trial.pivot(index="replicate", columns="policy", values="test_score")
    assert paired_sd(one_trial) == pytest.approx((by_hand["annealing"] - by_hand["stochastic"]).std())


def test_the_pooled_spread_weighs_pairs_by_their_degrees_of_freedom() -> None:
    frames = make_frames(replicates=4, sigma=0.002)
    outcomes = run_outcomes(frames.runs, frames.trials, frames.nodes)
    left_out = (outcomes["policy"] == "annealing") & (outcomes["replicate"] == 3)
    outcomes = outcomes[outcomes["policy"].isin(["grid", "annealing", "stochastic"]) & ~left_out]
    of = outcomes.pivot(index="replicate", columns="policy", values="test_score")
    pairs = [of["annealing"] - of["grid"], of["annealing"] - of["stochastic"], of["grid"] - of["stochastic"]]
    assert pair_sds(outcomes)["freedom"].tolist() == [2, 2, 3]
    assert pair_sds(outcomes)["sd"].tolist() == pytest.approx([pair.std() for pair in pairs])
    assert paired_sd(outcomes) == pytest.approx(np.sqrt(np.average([pair.var() for pair in pairs], weights=[2, 2, 3])))


def test_without_two_paired_replicates_there_is_no_spread() -> None:
    frames = make_frames(replicates=1)
    outcomes = run_outcomes(frames.runs, frames.trials, frames.nodes)
    assert paired_sd(outcomes) is None
    assert paired_sd(outcomes.iloc[:0].astype({"counted": bool})) is None
