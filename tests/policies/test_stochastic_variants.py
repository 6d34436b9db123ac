"""Variants of the paper's idea: what is drawn, how often, from where, and that a resumed trial draws the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from policy_sequences import COARSE, REAL, TAU, all_taus, epoch_taus
from scipy.stats import chisquare, kstest
from torch import Tensor

from policies.base import Temperature
from policies.stochastic_around_best import AroundBest
from search_spaces import Space
from tune_kd.config.catalogue import make_policy
from tune_kd.errors import InputError


def made(label: str, *, seed: int = 0, space: Space = TAU) -> Temperature:
    policy = make_policy(label)
    return policy.temperature(policy.restart_params(space), seed)


# Per sample


def sample_taus(temperature: Temperature, step: int, batch: int) -> Tensor:
    softening = temperature(step, torch.zeros(batch, 3), torch.zeros(batch, 3))
    assert torch.equal(softening.tau_student, softening.tau_teacher)
    assert torch.equal(softening.weight, softening.tau_student**2)
    assert softening.tau_student.shape == (batch, 1)
    return softening.tau_student.squeeze(1)


def test_every_sample_draws_the_integers_2_to_20_with_equal_chance() -> None:
    temperature = made("stochastic-per-sample")
    temperature.begin_epoch(0, 1, 50)
    taus = torch.cat([sample_taus(temperature, step, 190) for step in range(50)])
    values, counts = taus.unique(return_counts=True)
    assert values.tolist() == list(range(2, 21))
    assert chisquare(counts).pvalue > 0.001


def test_samples_are_as_uniform_across_steps_as_within_one() -> None:
    """Each step seeds a generator of its own: that must not show in what the samples draw first."""
    temperature = made("stochastic-per-sample", seed=1)
    temperature.begin_epoch(0, 1, 3800)
    first, second = torch.stack([sample_taus(temperature, step, 2) for step in range(3800)]).T
    assert chisquare(first.unique(return_counts=True)[1]).pvalue > 0.001
    for one, other in ((first[:-1], first[1:]), (first, second)):
        assert abs(torch.corrcoef(torch.stack([one, other]))[0, 1].item()) < 4 / math.sqrt(3800)


def test_a_step_draws_the_same_however_often_and_in_whatever_order() -> None:
    temperature = made("stochastic-per-sample")
    temperature.begin_epoch(3, 5, 4)
    forwards = [sample_taus(temperature, step, 8) for step in range(4)]
    backwards = [sample_taus(temperature, step, 8) for step in reversed(range(4))]
    assert all(torch.equal(*pair) for pair in zip(forwards, reversed(backwards), strict=True))
    assert len({tuple(taus.tolist()) for taus in forwards}) == 4
    temperature.begin_epoch(4, 5, 4)
    assert not torch.equal(sample_taus(temperature, 0, 8), forwards[0])


def test_samples_follow_the_levels_of_the_space_or_its_interval() -> None:
    coarse, real = (made("stochastic-per-sample", space=space) for space in (COARSE, REAL))
    for temperature in (coarse, real):
        temperature.begin_epoch(0, 1, 1)
    assert sample_taus(coarse, 0, 200).unique().tolist() == COARSE.tau.levels()
    assert kstest(sample_taus(real, 0, 2000).numpy(), "uniform", args=(0.5, 7.5)).pvalue > 0.001


# Per epoch


def test_an_epoch_has_one_temperature_and_epochs_draw_with_equal_chance() -> None:
    temperature = made("stochastic-per-epoch")
    epochs = [epoch_taus(temperature, epoch, epochs=1900, steps=3) for epoch in range(1900)]
    assert all(len(taus.unique()) == 1 for taus in epochs)
    values, counts = torch.stack([taus[0] for taus in epochs]).unique(return_counts=True)
    assert values.tolist() == list(range(2, 21))
    assert chisquare(counts).pvalue > 0.001


# Log-uniform


@pytest.mark.parametrize("space", [TAU, REAL, COARSE], ids=lambda space: space.name)
def test_the_logarithm_is_uniform_over_the_range(space: Space) -> None:
    low, high = space.tau.low, space.tau.high
    taus = all_taus(made("stochastic-log-uniform", space=space), epochs=4, steps=500)
    assert low <= taus.min().item() <= taus.max().item() <= high
    assert kstest(taus.log().numpy(), "uniform", args=(math.log(low), math.log(high / low))).pvalue > 0.001


def test_equal_ratios_are_equally_likely() -> None:
    taus = all_taus(made("stochastic-log-uniform"), epochs=1, steps=4000)
    ratios = [((taus >= low) & (taus < 2 * low)).float().mean().item() for low in (2, 5, 10)]
    assert ratios == pytest.approx([math.log10(2)] * 3, abs=0.03)


# Around the best


def around_best(*, seed: int = 0, space: Space = TAU, window: float = 0.25, continuous: bool = True) -> AroundBest:
    temperature = made(
        f"stochastic-around-best:window={window}:continuous={str(continuous).lower()}", seed=seed, space=space
    )
    assert isinstance(temperature, AroundBest)
    return temperature


def centres(temperature: AroundBest, epochs: int, accuracy: Callable[[float, int], float]) -> list[float]:
    """Of each epoch's window, when an epoch is as accurate as its centre and its number make it."""
    found = []
    for epoch in range(epochs):
        temperature.begin_epoch(epoch, epochs, 1)
        found.append(temperature.centre)
        temperature.observe({"val_score": accuracy(temperature.centre, epoch)})
    return found


def test_the_first_centre_may_be_anywhere_that_its_window_fits() -> None:
    """A quarter of 2 to 20 is 4.5 wide: its centre is from 4.25 to 17.75."""
    first = [centres(around_best(seed=seed), 1, lambda *_: 0.5)[0] for seed in range(1000)]
    assert kstest(first, "uniform", args=(4.25, 13.5)).pvalue > 0.001


@pytest.mark.parametrize("top", [5.0, 9.0, 17.0])
def test_it_settles_where_accuracy_is_best(top: float) -> None:
    def accuracy(centre: float, _: int) -> float:
        return 0.9 - abs(centre - top) / 100

    last = [centres(around_best(seed=seed), 30, accuracy)[-1] for seed in range(20)]
    assert max(abs(centre - top) for centre in last) < 1.5
    assert sum(abs(centre - top) for centre in last) / 20 < 0.6


@given(seed=st.integers(0, 2**31 - 1), accuracies=st.lists(st.floats(0, 1), min_size=12, max_size=12))
def test_a_centre_is_within_the_epochs_reach_of_the_best_so_far(seed: int, accuracies: list[float]) -> None:
    temperature = around_best(seed=seed)
    found = centres(temperature, 12, lambda _, epoch: accuracies[epoch])
    for epoch in range(1, 12):
        best = found[max(range(epoch), key=lambda e: accuracies[e])]  # the earliest of equals
        reach = 13.5 * (1 - epoch / 12)
        low = min(max(best - reach / 2, 4.25), 17.75 - reach)
        assert low - 1e-6 <= found[epoch] <= low + reach + 1e-6


def test_the_batches_of_an_epoch_are_uniform_over_its_window() -> None:
    temperature = around_best(seed=2)
    taus = epoch_taus(temperature, 0, epochs=1, steps=2000)
    assert kstest(taus.numpy(), "uniform", args=(temperature.centre - 2.25, 4.5)).pvalue > 0.001


@given(seed=st.integers(0, 2**31 - 1), window=st.floats(0.01, 1), epoch=st.integers(0, 9))
def test_on_levels_the_window_takes_those_within_half_a_step(seed: int, window: float, epoch: int) -> None:
    for space in (TAU, COARSE):
        temperature = around_best(seed=seed, space=space, window=window, continuous=False)
        taus = epoch_taus(temperature, epoch, epochs=10, steps=30)
        step = space.tau.step
        assert step is not None
        assert set(taus.tolist()) <= set(space.tau.levels())
        assert (taus - temperature.centre).abs().max().item() <= window * 9 + step + 1e-6


def test_a_window_as_wide_as_the_space_is_the_papers_policy() -> None:
    taus = all_taus(around_best(window=1.0, continuous=False), epochs=10, steps=380)
    values, counts = taus.unique(return_counts=True)
    assert values.tolist() == list(range(2, 21))
    assert chisquare(counts).pvalue > 0.001


def test_what_was_best_survives_a_checkpoint() -> None:
    reports: list[dict[str, Any]] = [{"val_score": accuracy} for accuracy in (0.5, 0.9, 0.7, 0.8)]
    whole, stopped, forgetful = (around_best(seed=3) for _ in range(3))
    for epoch in range(3):
        for temperature in (whole, stopped):
            temperature.begin_epoch(epoch, 5, 4)
            temperature.observe(reports[epoch])
    resumed = around_best(seed=3)
    resumed.load_state_dict(stopped.state_dict())
    expected = epoch_taus(whole, 3, epochs=5, steps=40)
    assert torch.equal(epoch_taus(resumed, 3, epochs=5, steps=40), expected)
    assert not torch.equal(epoch_taus(forgetful, 3, epochs=5, steps=40), expected)


@pytest.mark.parametrize("window", ["0.0", "-0.5", "1.5", "nan"])
def test_a_window_that_cannot_be_is_refused(window: str) -> None:
    with pytest.raises(InputError, match="window must be > 0 and ≤ 1, got"):
        make_policy(f"stochastic-around-best:window={window}")
