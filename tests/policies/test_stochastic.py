"""The paper's policy: a fresh random τ for every batch."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from policy_sequences import COARSE, REAL, TAU, all_taus, epoch_taus
from scipy.stats import chisquare, kstest

from search_spaces import Space
from tune_kd.config.catalogue import make_policy


def test_stochastic_draws_the_integers_2_to_20_with_equal_chance() -> None:
    taus = all_taus(make_policy("stochastic").temperature({}, seed=0), epochs=10, steps=950)
    values, counts = taus.unique(return_counts=True)
    assert values.tolist() == list(range(2, 21))
    assert chisquare(counts).pvalue > 0.001


def test_stochastic_draws_are_as_uniform_across_epochs_as_within_one() -> None:
    """Each epoch has a generator of its own: their seeds must not show in the first draws."""
    temperature = make_policy("stochastic").temperature({}, seed=1)
    firsts = torch.stack([epoch_taus(temperature, epoch, epochs=3800, steps=1)[0] for epoch in range(3800)])
    assert chisquare(firsts.unique(return_counts=True)[1]).pvalue > 0.001
    assert abs(torch.corrcoef(torch.stack([firsts[:-1], firsts[1:]]))[0, 1].item()) < 4 / math.sqrt(3800)


def test_stochastic_draws_one_temperature_a_batch_and_keeps_it() -> None:
    temperature = make_policy("stochastic").temperature({}, seed=0)
    temperature.begin_epoch(0, 1, 40)
    logits = torch.zeros(8, 3)
    softenings = [temperature(step, logits, logits) for step in range(40)]
    assert all(softening.tau_student.shape == () for softening in softenings)
    again = [temperature(step, logits, logits) for step in range(40)]
    assert softenings == again
    assert len({softening.tau_student.item() for softening in softenings}) > 10


def test_stochastic_follows_the_levels_of_the_space() -> None:
    policy = make_policy("stochastic")
    taus = all_taus(policy.temperature(policy.restart_params(COARSE), seed=0), steps=50)
    assert taus.unique().tolist() == COARSE.tau.levels()


@pytest.mark.parametrize(
    ("label", "space"), [("stochastic:continuous=true", TAU), ("stochastic", REAL)], ids=["on request", "in the space"]
)
def test_stochastic_is_continuous_on_request_or_where_the_space_is(label: str, space: Space) -> None:
    policy = make_policy(label)
    taus = all_taus(policy.temperature(policy.restart_params(space), seed=0), epochs=4, steps=500)
    low, high = space.tau.low, space.tau.high
    assert kstest(taus.numpy(), "uniform", args=(low, high - low)).pvalue > 0.001


@given(seed=st.integers(0, 2**31 - 1), other=st.integers(0, 2**31 - 1))
def test_trials_of_different_seeds_draw_independently(seed: int, other: int) -> None:
    first, second = (all_taus(make_policy("stochastic").temperature({}, s), epochs=2, steps=64) for s in (seed, other))
    agreement = (first == second).float().mean().item()
    # 1 of 19 agrees by chance; half of 128 is 20 standard deviations from that.
    assert agreement == 1 if seed == other else agreement < 0.5
