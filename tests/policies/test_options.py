"""Options and temperatures that cannot be: refused in one line, before anything runs."""

from __future__ import annotations

import math

import pytest

from policies.base import Constant, positive
from tune_kd.config.catalogue import make_policy
from tune_kd.errors import InputError


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("annealing:shape=cos", ["annealing", "shape", "linear, cosine, exponential", "'cos'"]),
        ("tpe:startup=0", ["tpe", "startup", "≥ 1", "0"]),
        ("asha:grace=0", ["asha", "grace", "≥ 1", "0"]),
        ("asha:reduction=1", ["asha", "reduction", "≥ 2", "1"]),
        ("tpe:startup=many", ["tpe", "startup", "whole number", "many"]),
        ("tpe:startup=2.5", ["tpe", "startup", "whole number", "2.5"]),
        ("tpe:startupp=3", ["tpe", "'startupp'", "did you mean 'startup'"]),
        ("stochastic:continuous=1", ["stochastic", "continuous", "true or false", "1"]),
        ("grid:step=1", ["grid", "no options", "step=1"]),
        ("annealng", ["'annealng'", "did you mean 'annealing'", "stochastic"]),
        ("", ["''", "grid"]),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_one_line(label: str, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        make_policy(label)
    text = str(refused.value)
    assert "\n" not in text
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("tau", [0.0, -4.0, math.nan, math.inf])
def test_a_temperature_is_finite_and_positive(tau: float) -> None:
    with pytest.raises(ValueError, match="tau must be a finite number > 0, got"):
        Constant(tau)
    with pytest.raises(ValueError, match=r"tau_low must be .*, got"):
        positive("tau_low", tau)
    for label in ("annealing", "stochastic"):
        with pytest.raises(ValueError, match=r"tau_low must be .*, got"):
            make_policy(label).temperature({"tau_low": tau, "tau_high": 20}, seed=0)
