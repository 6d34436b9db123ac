"""NormKD: temperatures in proportion to the deviation, the published loss and its gradient through the student's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy_losses import ALPHA, STUDENT, TEACHER, Array, cross_entropy, kl, loss_and_gradient, slope, tensors

from policies.base import Temperature
from policies.spread import SMALLEST_DEVIATION, standard_deviation
from tune_kd.config.catalogue import make_policy
from tune_kd.errors import InputError


def made(label: str = "normkd") -> Temperature:
    temperature = make_policy(label).temperature({}, seed=0)
    temperature.begin_epoch(0, 240, 1)
    return temperature


def taus(logits: Array, base_tau: float = 2.0) -> Array:
    """τ = 2·std with n − 1, [B, 1]."""
    found: Array = base_tau * np.sqrt(((logits - logits.mean(1, keepdims=True)) ** 2).sum(1, keepdims=True) / 3)
    return found


def distillation(student: Array, base_tau: float = 2.0) -> float:
    """The mean of τ_t²·KL."""
    tau_student, tau_teacher = taus(student, base_tau), taus(TEACHER, base_tau)
    return float((tau_teacher[:, 0] ** 2 * kl(student, TEACHER, tau_student, tau_teacher)).mean())


def published_loss(student: Array) -> float:
    return 0.9 * distillation(student) + 0.1 * cross_entropy(student)


def test_each_networks_temperature_is_twice_the_deviation_of_its_logits() -> None:
    tau_student, tau_teacher, weight = made()(0, *tensors(STUDENT, TEACHER))
    np.testing.assert_allclose(tau_student, taus(STUDENT))
    np.testing.assert_allclose(tau_teacher, taus(TEACHER))
    np.testing.assert_allclose(weight, taus(TEACHER) ** 2)


def test_loss_and_gradient_are_the_published_ones() -> None:
    loss, gradient = loss_and_gradient(made())
    assert loss == pytest.approx(published_loss(STUDENT), rel=1e-12)
    np.testing.assert_allclose(gradient, slope(published_loss, STUDENT), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("base_tau", [2.0, 1.0])
def test_the_temperature_alone_leaves_the_loss_to_the_scenario(base_tau: float) -> None:
    expected = ALPHA * distillation(STUDENT, base_tau) + (1 - ALPHA) * cross_entropy(STUDENT)
    found, _ = loss_and_gradient(made(f"normkd:temperature_only:base_tau={base_tau}"))
    assert found == pytest.approx(expected, rel=1e-12)


@given(scale=st.floats(0.1, 1e6))
def test_however_large_its_logits_a_network_is_as_soft(scale: float) -> None:
    tau, _, _ = made()(0, *tensors(scale * STUDENT, TEACHER))
    softened = torch.softmax(torch.tensor(scale * STUDENT) / tau, dim=1)
    np.testing.assert_allclose(softened, torch.softmax(torch.tensor(STUDENT / taus(STUDENT)), dim=1), rtol=1e-9)


def test_the_deviation_is_as_published_down_to_the_floor() -> None:
    logits = torch.tensor(STUDENT[:1])
    unit = logits / logits.std()
    for deviation in (1e-12, 0.5 * SMALLEST_DEVIATION, 1.001 * SMALLEST_DEVIATION, 1.0, 1e3):
        found = standard_deviation(deviation * unit).item()
        assert found == pytest.approx(max(deviation, SMALLEST_DEVIATION), rel=1e-9)


@pytest.mark.parametrize("level", [0.0, -7.0, 1e4])
def test_a_network_that_says_nothing_has_a_temperature_and_a_gradient(level: float) -> None:
    loss, gradient = loss_and_gradient(made(), student=np.full_like(STUDENT, level))
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-9 * np.abs(gradient).max())  # a shift changes nothing


@pytest.mark.parametrize("given_tau", ["0", "-2", "inf"])
def test_options_that_cannot_be_are_refused(given_tau: str) -> None:
    with pytest.raises(InputError, match="base_tau must be a finite number > 0, got"):
        make_policy(f"normkd:base_tau={given_tau}")
