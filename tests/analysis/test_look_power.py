"""The forecast of a comparison of several looks: its ends by reasoning, the rest by statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from analysis.statistics.look_power import replicates_taken, shares_at_looks
from analysis.statistics.looks import decide
from analysis.statistics.power import verdict_shares
from analysis.statistics.simulation import simulate, to_reference

LOOKS = (5, 10, 20, 40)
LEVELS = (0.01, 0.01, 0.01, 0.02)
SHARES = ["better", "worse", "equivalent", "inconclusive"]


def test_without_noise_worth_speaking_of_everything_is_decided_at_the_first_look() -> None:
    shares = shares_at_looks(LOOKS, LEVELS, 4, sd=1e-6, margin=0.01)
    assert shares["difference"].tolist() == pytest.approx([0, 0.005, 0.01, 0.02])
    # 0 and half a margin are equivalent. A whole margin is not: it is a difference, but for an error now and then.
    assert shares["equivalent"].tolist() == pytest.approx([1, 1, 0, 0], abs=0.02)
    assert shares["better"].tolist() == pytest.approx([0, 0, 1, 1], abs=0.02)
    assert shares[["replicates", "reference_replicates", "runs"]].to_numpy().tolist() == [[5, 5, 20]] * 4
    assert shares["runs_at_most"].tolist() == [160] * 4


def test_in_noise_nothing_is_decided_but_by_error_and_all_looks_are_taken() -> None:
    shares = shares_at_looks(LOOKS, LEVELS, 3, sd=100.0, margin=0.01)
    assert (shares["inconclusive"] >= 0.95).all()
    assert (shares["equivalent"] == 0).all()
    assert shares["replicates"].tolist() == pytest.approx([40] * 4, rel=0.05)
    assert (shares["runs"] <= shares["runs_at_most"]).all()


def test_of_two_looks_the_second_is_taken_as_often_as_the_first_has_no_power() -> None:
    """The margin is far below the spread, so that equivalence takes no part."""
    shares = shares_at_looks((6, 12), (0.02, 0.03), 2, sd=1.0, margin=1e-3, differences=[1000.0]).iloc[0]
    first = TTestPower().power(effect_size=1.0, nobs=6, alpha=0.02)
    second = TTestPower().power(effect_size=1.0, nobs=12, alpha=0.03)
    assert shares["replicates"] == pytest.approx(6 * first + 12 * (1 - first), abs=0.3)
    assert second <= shares["better"] <= second + 0.05


def test_one_look_at_two_policies_is_the_forecast_of_a_plain_comparison() -> None:
    looked = shares_at_looks((10,), (0.05,), 2, sd=0.01, margin=0.01)
    plain = verdict_shares(10, 2, sd=0.01, margin=0.01)
    # There the policy that is better comes first, here the reference: its verdicts are the others' turned round.
    assert looked[["better", "worse"]].to_numpy() == pytest.approx(plain[["better", "worse"]].to_numpy(), abs=0.04)
    assert looked["equivalent"].to_numpy() == pytest.approx(plain["equivalent"].to_numpy(), abs=0.04)
    assert (looked["replicates"] == 10).all()


def test_the_verdicts_are_all_there_is_and_the_reference_goes_on_for_the_last_policy() -> None:
    shares = shares_at_looks(LOOKS, LEVELS, 5, sd=0.01, margin=0.01)
    assert shares[SHARES].sum(axis=1).tolist() == pytest.approx([1] * 4)
    assert (shares["reference_replicates"] >= shares["replicates"]).all()
    assert shares["runs"].tolist() == pytest.approx(
        (shares["reference_replicates"] + 4 * shares["replicates"]).tolist()
    )


def test_a_policy_stops_at_its_verdict_and_the_reference_with_the_last_of_them() -> None:
    clear, unclear = np.full(40, 0.05) + 1e-4 * np.arange(40), np.tile([0.3, -0.3], 20)
    looks = decide(np.stack([clear, unclear]), 0.01, LOOKS, LEVELS)
    assert replicates_taken(looks, LOOKS).tolist() == [40, 5, 40]
    assert replicates_taken(decide(clear[None], 0.01, LOOKS, LEVELS), LOOKS).tolist() == [5, 5]


def test_differences_are_the_others_less_the_reference() -> None:
    accuracies = simulate(2, shifts=[0.0, 0.1, 0.2], sigma=1e-9, replicates=3)
    differences = to_reference(accuracies)
    assert differences.shape == (2, 2, 3)
    assert differences[:, 0] == pytest.approx(np.full((2, 3), 0.1))
    assert differences[:, 1] == pytest.approx(np.full((2, 3), 0.2))


@pytest.mark.parametrize(("looks", "policies"), [((1, 5), 3), ((5, 10), 1)])
def test_a_look_at_one_replicate_or_one_policy_is_refused(looks: tuple[int, ...], policies: int) -> None:
    with pytest.raises(ValueError, match=f"got {policies} and "):
        shares_at_looks(looks, (0.02, 0.03), policies, sd=0.01, margin=0.01)
