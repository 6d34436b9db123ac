"""examples/own_policy.py is a policy that the command line takes as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.testing import check_policy, epochs
from tune_kd.config.catalogue import make_policy
from tune_kd.errors import InputError

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_policy.py"


def test_it_keeps_the_contract() -> None:
    check_policy(make_policy(f"{EXAMPLE}:Triangle"))


def test_tau_rises_to_the_highest_and_falls_back_in_every_cycle() -> None:
    policy = make_policy(f"{EXAMPLE}:Triangle:cycles=2")
    temperature = policy.temperature({"tau_low": 2, "tau_high": 8}, seed=0)
    taus = [step.tau.item() for epoch in epochs(temperature) for step in epoch]
    assert taus == pytest.approx([2, 4, 6, 8, 6, 4] * 2)


def test_an_option_that_makes_no_sense_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="cycles must be at least 1, got 0"):
        make_policy(f"{EXAMPLE}:Triangle:cycles=0")
