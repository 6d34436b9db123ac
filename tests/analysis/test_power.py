"""Which verdicts replicates would give: against statsmodels, against the audit's figures, and the spread they go by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2
from statsmodels.stats.power import TTestPower
from synthetic import make_frames

from analysis.runs.outcomes import run_outcomes
from analysis.statistics.power import pair_sds, typical_sd, verdict_shares

SEEDS = 0.0015 * math.sqrt(2)  # of differences of two policies, where seeds differ by 0.15 pp


@pytest.mark.parametrize("replicates", [5, 10, 30])
def test_two_policies_a_wide_margin_apart_are_told_apart_as_often_as_statsmodels_says(replicates: int) -> None:
    """The margin is far below the spread, so that equivalence takes no part."""
    shares = verdict_shares(replicates, 2, sd=1.0, margin=1e-3, differences=[1000.0])
    power = TTestPower().power(effect_size=1.0, nobs=replicates, alpha=0.05)
    assert shares["better"][0] == pytest.approx(power, abs=0.04)


@pytest.mark.parametrize(("policies", "expected"), [(5, 0.94), (16, 0.24)])
def test_equal_policies_are_called_equivalent_as_often_as_was_found(policies: int, expected: float) -> None:
    """An audit of 10 replicates; at the last step of Holm for all pairs it would be 0.70 and 0."""
    shares = verdict_shares(10, policies, sd=SEEDS, margin=0.003, differences=[0.0])
    assert shares["equivalent"][0] == pytest.approx(expected, abs=0.03)


def test_a_difference_below_the_margin_is_mostly_called_equivalent() -> None:
    shares = verdict_shares(20, 2, sd=0.0021, margin=0.003, differences=[0.14 / 0.3]).iloc[0]
    assert shares["difference"] == pytest.approx(0.0014)
    assert shares["better"] == pytest.approx(0.05, abs=0.025)
    assert shares["equivalent"] == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize("policies", [2, 4])
def test_the_verdicts_are_all_there_is_and_a_larger_difference_is_found_more_often(policies: int) -> None:
    shares = verdict_shares(6, policies, sd=0.01, margin=0.01)
    assert shares[["better", "worse", "equivalent", "inconclusive"]].sum(axis=1).tolist() == pytest.approx([1] * 4)
    assert shares["better"].is_monotonic_increasing
    assert shares["difference"].tolist() == pytest.approx([0.0, 0.005, 0.01, 0.02])


@pytest.mark.parametrize(("replicates", "policies"), [(1, 3), (5, 1)])
def test_one_replicate_or_one_policy_is_refused(replicates: int, policies: int) -> None:
    with pytest.raises(ValueError, match=f"got {policies} and {replicates}"):
        verdict_shares(replicates, policies, sd=0.01, margin=0.01)


def test_the_spread_is_that_of_paired_differences() -> None:
    frames = make_frames(replicates=200, sigma=0.002)
    outcomes = run_outcomes(frames.runs, frames.trials, frames.nodes)
    one_trial = outcomes[outcomes["policy"].isin(["annealing", "stochastic"])]
    assert typical_sd(one_trial) == pytest.approx(0.002 * np.sqrt(2), rel=0.15)
    by_hand = one_trial.pivot(index="replicate", columns="policy", values="test_score")
    differences = by_hand["annealing"] - by_hand["stochastic"]
    assert typical_sd(one_trial) == pytest.approx(differences.std() / np.sqrt(chi2.median(199) / 199))


def test_the_spread_of_two_replicates_is_not_too_small_in_the_middle() -> None:
    frames = make_frames(replicates=400, sigma=0.002)
    outcomes = run_outcomes(frames.runs, frames.trials, frames.nodes)
    found = [typical_sd(two) for _, two in outcomes.groupby(outcomes["replicate"] // 2)]
    assert len(found) == 200
    # Pairs of five policies are not independent: their middle is near the truth, no more.
    assert np.median([sd for sd in found if sd is not None]) == pytest.approx(0.002 * np.sqrt(2), rel=0.25)


def test_one_policy_that_fails_does_not_make_its_spread_everybodys() -> None:
    frames = make_frames(replicates=8, sigma=0.002)
    outcomes = run_outcomes(frames.runs, frames.trials, frames.nodes)
    usual = typical_sd(outcomes)
    fails = (outcomes["policy"] == "annealing") & (outcomes["replicate"] < 2)
    outcomes.loc[fails, "test_score"] = 0.1
    assert usual is not None
    assert typical_sd(outcomes) == pytest.approx(usual, rel=0.5)


def test_the_spread_of_a_pair_is_of_the_replicates_that_both_have() -> None:
    frames = make_frames(replicates=4, sigma=0.002)
    outcomes = run_outcomes(frames.runs, frames.trials, frames.nodes)
    left_out = (outcomes["policy"] == "annealing") & (outcomes["replicate"] == 3)
    outcomes = outcomes[outcomes["policy"].isin(["grid", "annealing", "stochastic"]) & ~left_out]
    of = outcomes.pivot(index="replicate", columns="policy", values="test_score")
    pairs = [of["annealing"] - of["grid"], of["annealing"] - of["stochastic"], of["grid"] - of["stochastic"]]
    assert pair_sds(outcomes)["freedom"].tolist() == [2, 2, 3]
    assert pair_sds(outcomes)["sd"].tolist() == pytest.approx([pair.std() for pair in pairs])


def test_without_two_paired_replicates_there_is_no_spread() -> None:
    frames = make_frames(replicates=1)
    outcomes = run_outcomes(frames.runs, frames.trials, frames.nodes)
    assert typical_sd(outcomes) is None
    assert typical_sd(outcomes.iloc[:0].astype({"counted": bool})) is None
