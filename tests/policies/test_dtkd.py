"""DTKD: the published temperatures, loss and gradient; and temperatures where the published ratio has none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy_losses import ALPHA, STUDENT, TEACHER, Array, cross_entropy, kl, loss_and_gradient, slope, tensors

from policies.base import Softening, Temperature
from tune_kd.config.catalogue import make_policy
from tune_kd.errors import InputError

TAU_REF = 4.0


def made(label: str = "dtkd", *, epoch: int = 0) -> Temperature:
    temperature = make_policy(label).temperature({}, seed=0)
    temperature.begin_epoch(epoch, 240, 1)
    return temperature


def softened(student: Array, teacher: Array) -> Softening:
    softening: Softening = made()(0, *tensors(student, teacher))
    return softening


def published_taus(student: Array, teacher: Array) -> tuple[Array, Array]:
    """2·max z_s/(max z_s + max z_t)·τ_ref and 2·max z_t/(max z_s + max z_t)·τ_ref, [B, 1] each."""
    student_max, teacher_max = student.max(axis=1, keepdims=True), teacher.max(axis=1, keepdims=True)
    both = student_max + teacher_max
    return 2 * student_max / both * TAU_REF, 2 * teacher_max / both * TAU_REF


def shared_term(student: Array) -> float:
    tau_student, tau_teacher = published_taus(student, TEACHER)
    return float((tau_student[:, 0] * tau_teacher[:, 0] * kl(student, TEACHER, tau_student, tau_teacher)).mean())


def published_loss(student: Array, ramp: float) -> float:
    reference = float((TAU_REF**2 * kl(student, TEACHER, TAU_REF, TAU_REF)).mean())
    return ramp * (3 * shared_term(student) + 1 * reference) + 1 * cross_entropy(student)


def test_each_temperature_is_its_networks_share_of_both_maxima() -> None:
    found = softened(STUDENT, TEACHER)
    expected = published_taus(STUDENT, TEACHER)
    np.testing.assert_allclose(expected[0][:, 0], [2.0, 7.2 / 4.9, 24 / 11])  # by hand: maxima 2|6, 0.9|4, 3|8
    np.testing.assert_allclose(found.tau_student, expected[0])
    np.testing.assert_allclose(found.tau_teacher, expected[1])
    np.testing.assert_allclose(found.weight, expected[0] * expected[1])


@pytest.mark.parametrize(("epoch", "ramp"), [(0, 1 / 20), (9, 0.5), (19, 1.0), (200, 1.0)])
def test_loss_and_gradient_are_the_published_ones(epoch: int, ramp: float) -> None:
    """The gradient goes through the student's maxima too: finite differences see every way."""
    loss, gradient = loss_and_gradient(made(epoch=epoch))
    assert loss == pytest.approx(published_loss(STUDENT, ramp), rel=1e-12)
    np.testing.assert_allclose(gradient, slope(lambda z: published_loss(z, ramp), STUDENT), rtol=1e-6, atol=1e-9)


def test_the_warmup_is_an_option() -> None:
    for label, epoch, ramp in [("dtkd:warmup=0", 0, 1.0), ("dtkd:warmup=4", 0, 0.25), ("dtkd:warmup=4", 3, 1.0)]:
        assert loss_and_gradient(made(label, epoch=epoch))[0] == pytest.approx(published_loss(STUDENT, ramp), rel=1e-12)


def test_the_temperature_alone_leaves_the_loss_to_the_scenario() -> None:
    def expected(student: Array) -> float:
        return ALPHA * shared_term(student) + (1 - ALPHA) * cross_entropy(student)

    loss, gradient = loss_and_gradient(made("dtkd:temperature_only"))
    assert loss == pytest.approx(expected(STUDENT), rel=1e-12)
    np.testing.assert_allclose(gradient, slope(expected, STUDENT), rtol=1e-6, atol=1e-9)


@given(
    student=st.floats(1e-3, 1e4),
    teacher=st.floats(1e-3, 1e4),
    lowest=st.floats(-1e4, 0),
)
def test_whatever_the_positive_maxima_the_published_ratio_holds(student: float, teacher: float, lowest: float) -> None:
    found = softened(np.array([[student, lowest]]), np.array([[lowest, teacher]]))
    assert found.tau_student.item() == pytest.approx(8 * student / (student + teacher), rel=1e-9)
    assert (found.tau_student + found.tau_teacher).item() == pytest.approx(2 * TAU_REF, rel=1e-9)


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ([-3.0, -5.0, -4.0], [6.0, 0.0, 0.0]),
        ([2.0, 0.0, 1.0], [-1.0, -7.0, -1.0]),
        ([-3.0, -5.0, -4.0], [0.0, -6.0, -3.0]),
    ],
    ids=["the student's maximum", "the teacher's", "neither positive"],
)
def test_without_positive_maxima_it_is_that_of_the_logits_shifted_to_mean_zero(
    student: list[float], teacher: list[float]
) -> None:
    logits = np.array([student]), np.array([teacher])
    expected = published_taus(*(z - z.mean() for z in logits))
    found = softened(*logits)
    np.testing.assert_allclose(found.tau_student, expected[0])
    np.testing.assert_allclose(found.tau_teacher, expected[1])
    assert 0 < found.tau_student.item() < 2 * TAU_REF


def test_between_two_networks_that_say_nothing_the_reference_is_halved_evenly() -> None:
    for level in (0.0, -3.0):
        found = softened(np.full((2, 4), level), np.full((2, 4), level))
        assert found.tau_student.tolist() == found.tau_teacher.tolist() == [[TAU_REF]] * 2


def test_a_guarded_sample_leaves_the_others_as_published() -> None:
    student = np.vstack([STUDENT, [[-3.0, -5.0, -4.0, -6.0]]])
    found = softened(student, np.vstack([TEACHER, [[1.0, 0.0, 2.0, 0.0]]]))
    np.testing.assert_allclose(found.tau_student[:-1], published_taus(STUDENT, TEACHER)[0])
    assert torch.isfinite(found.tau_student).all()


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("dtkd:tau_ref=0", "tau_ref must be a finite number > 0, got 0"),
        ("dtkd:tau_ref=nan", "tau_ref must be a finite number > 0, got nan"),
        ("dtkd:warmup=-1", "warmup must be ≥ 0 epochs, got -1"),
        ("dtkd:temperature_only=3", "temperature_only must be true or false"),
    ],
)
def test_options_that_cannot_be_are_refused(label: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_policy(label)
