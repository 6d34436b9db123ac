"""Logit standardization: z-scores, the published loss and its gradient through the student's deviation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy_losses import ALPHA, STUDENT, TEACHER, Array, cross_entropy, kl, loss_and_gradient, slope, tensors

from policies.base import Temperature
from policies.spread import SMALLEST_DEVIATION
from tune_kd.config.catalogue import make_policy
from tune_kd.errors import InputError


def made(label: str = "logit-standardization") -> Temperature:
    temperature = make_policy(label).temperature({}, seed=0)
    temperature.begin_epoch(0, 240, 1)
    return temperature


def standardised(logits: Array) -> Array:
    """(z − mean)/std with n − 1 and the published 1e-7, [B, n]."""
    mean, deviation = logits.mean(axis=1, keepdims=True), logits.std(axis=1, ddof=1, keepdims=True)
    return (logits - mean) / (1e-7 + deviation)


def distillation(student: Array, base_tau: float = 2.0) -> float:
    """The mean of τ²·KL between the softened z-scores."""
    return float((base_tau**2 * kl(standardised(student), standardised(TEACHER), base_tau, base_tau)).mean())


def published_loss(student: Array) -> float:
    return 9 * distillation(student) + 1 * cross_entropy(student)


def test_what_is_softened_are_the_z_scores() -> None:
    tau_student, tau_teacher, weight = made()(0, *tensors(STUDENT, TEACHER))
    for logits, tau in ((STUDENT, tau_student), (TEACHER, tau_teacher)):
        expected = torch.softmax(torch.tensor(standardised(logits)) / 2, dim=1)
        torch.testing.assert_close(torch.softmax(torch.tensor(logits) / tau, dim=1), expected, rtol=1e-6, atol=0)
    assert weight.item() == 4


def test_loss_and_gradient_are_the_published_ones() -> None:
    """To the 1e-7 that the published code adds to the deviation."""
    loss, gradient = loss_and_gradient(made())
    assert loss == pytest.approx(published_loss(STUDENT), rel=1e-6)
    np.testing.assert_allclose(gradient, slope(published_loss, STUDENT), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("base_tau", [2.0, 3.0])
def test_the_temperature_alone_leaves_the_loss_to_the_scenario(base_tau: float) -> None:
    label = f"logit-standardization:temperature_only:base_tau={base_tau}"
    expected = ALPHA * distillation(STUDENT, base_tau) + (1 - ALPHA) * cross_entropy(STUDENT)
    assert loss_and_gradient(made(label))[0] == pytest.approx(expected, rel=1e-6)


@given(scale=st.floats(0.1, 100), shift=st.floats(-100, 100))
def test_a_students_scale_and_level_do_not_matter_to_its_distillation(scale: float, shift: float) -> None:
    """The relations between the logits are all that is to be learned."""
    only = made("logit-standardization:temperature_only")
    given_loss = (loss_and_gradient(only, scale * STUDENT + shift)[0], loss_and_gradient(only)[0])
    entropies = (cross_entropy(scale * STUDENT + shift), cross_entropy(STUDENT))
    found, expected = ((loss - (1 - ALPHA) * ce) / ALPHA for loss, ce in zip(given_loss, entropies, strict=True))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_network_that_says_nothing_has_a_temperature_and_a_bounded_gradient() -> None:
    silent = np.full_like(STUDENT, 0.5)
    loss, gradient = loss_and_gradient(made(), student=silent)
    tau_student, tau_teacher, _ = made()(0, *tensors(silent, silent))
    assert tau_student.tolist() == tau_teacher.tolist() == [[2 * SMALLEST_DEVIATION]] * 3
    assert np.isfinite(loss)
    # 9·τ²/τ_s of what q_s − q_t is at most, for each of 3 samples; the cross-entropy adds less than 1.
    assert np.abs(gradient).max() < 9 * 4 / (2 * SMALLEST_DEVIATION) / 3 + 1


@pytest.mark.parametrize("given_tau", ["0", "-2", "inf"])
def test_options_that_cannot_be_are_refused(given_tau: str) -> None:
    with pytest.raises(InputError, match="base_tau must be a finite number > 0, got"):
        make_policy(f"logit-standardization:base_tau={given_tau}")
