"""Fixed: one τ, chosen beforehand; one training; the space has no say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from policy_sequences import COARSE, TAU, all_taus, suggestions

from search_spaces import Space
from tune_kd.config.catalogue import make_policy, policy_from_record, policy_record
from tune_kd.errors import InputError
from tune_kd.training.trial import Trial


@pytest.mark.parametrize("space", [TAU, COARSE], ids=lambda space: space.name)
@pytest.mark.parametrize(("label", "tau"), [("fixed", 4.0), ("fixed:tau=30", 30.0), ("fixed:tau=0.5", 0.5)])
def test_one_training_at_its_own_temperature(label: str, tau: float, space: Space) -> None:
    policy = make_policy(label)
    assert policy.native_trials(space) == 1
    assert suggestions(policy.searcher(space, 0), 2) == [{"tau": tau}] * 2  # a bigger budget repeats it
    assert all_taus(policy.temperature({"tau": tau}, seed=0)).unique().tolist() == [tau]


def test_the_record_keeps_its_temperature() -> None:
    assert policy_from_record(policy_record(make_policy("fixed:tau=7"))) == make_policy("fixed:tau=7")


def test_it_trains_as_a_grid_does_at_that_temperature(make_trial: Callable[..., Trial]) -> None:
    fixed, grid = (
        [report.train_loss for report in make_trial(label, params=params).fit()]
        for label, params in (("fixed:tau=7", {}), ("grid", {"tau": 7.0}))
    )
    assert fixed == grid


@pytest.mark.parametrize("given", ["0", "-1", "inf", "nan"])
def test_a_temperature_that_cannot_be_is_refused(given: str) -> None:
    with pytest.raises(InputError, match=rf"fixed:tau={given}.*tau must be a finite number > 0"):
        make_policy(f"fixed:tau={given}")
