"""CTKD: a temperature that climbs the loss, ever more, and comes back from where the sigmoid is flat."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, softmax
from torch import Tensor
from training_steps import step_of

from policies.base import Temperature
from policies.ctkd import reversal
from search_spaces import SPACES
from tune_kd.config.catalogue import make_policy
from tune_kd.errors import InputError
from tune_kd.training.trial import Trial

MakeTrial = Callable[..., Trial]
STUDENT, TEACHER = 3 * torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 3, 1, 2, 2])
LOWEST, HIGHEST = 1 + 20 * expit(-4.0), 1 + 20 * expit(4.0)


def made(label: str = "ctkd", *, epoch: int = 19) -> Temperature:
    """In float64, in an epoch of the full reversal unless told."""
    temperature = make_policy(label).temperature({}, seed=0).double()
    temperature.begin_epoch(epoch, 20, 4)
    return temperature


def tau(temperature: Temperature) -> float:
    return temperature(0, STUDENT, TEACHER).tau_student.item()


def loss_at(theta: float, alpha: float = 0.95) -> float:
    """α·τ²·KL(q_t ‖ q_s) + (1 − α)·CE, by numpy."""
    student, teacher, at = STUDENT.numpy(), TEACHER.numpy(), 1 + 20 / (1 + math.exp(-theta))
    target = softmax(teacher / at, axis=1)
    kl = (target * (np.log(target) - log_softmax(student / at, axis=1))).sum(axis=1).mean()
    ce = -log_softmax(student, axis=1)[np.arange(5), LABELS.numpy()].mean()
    return float(alpha * at**2 * kl + (1 - alpha) * ce)


def test_the_reversal_is_the_published_cosine_over_ten_epochs() -> None:
    """Their code: a decay from 0 to −1 in 10 loops, of epochs that count from 1."""
    for epoch in range(1, 30):
        turn = (math.cos(min(epoch, 10) * math.pi / 10) + 1) / 2
        assert reversal(epoch, 10) == pytest.approx(turn * (0 - -1) + -1, abs=1e-15)
    assert reversal(1, 10) == pytest.approx(-0.0244717, abs=1e-7)
    assert reversal(5, 10) == pytest.approx(-0.5)
    assert reversal(10, 10) == reversal(200, 10) == -1


def test_tau_starts_where_the_authors_start_it() -> None:
    assert tau(made()) == pytest.approx(1 + 20 / (1 + math.exp(-1)), rel=1e-12)


@pytest.mark.parametrize("theta", [-3.0, 0.2, 1.0, 3.5])
@pytest.mark.parametrize("epoch", [0, 4, 15])
def test_the_gradient_of_theta_is_that_of_the_loss_reversed(theta: float, epoch: int) -> None:
    temperature = made(epoch=epoch)
    parameter = temperature.get_parameter("theta")
    parameter.data.fill_(theta)
    loss = temperature.loss(step_of(STUDENT, TEACHER, LABELS)).loss
    loss.backward()
    slope = (loss_at(theta + 1e-5) - loss_at(theta - 1e-5)) / 2e-5
    factor = -(1 - math.cos(math.pi * min(epoch + 1, 10) / 10)) / 2
    assert loss.item() == pytest.approx(loss_at(theta), rel=1e-9)
    assert parameter.grad is not None
    assert parameter.grad.item() == pytest.approx(factor * slope, rel=1e-6)


def test_the_students_gradient_is_not_reversed() -> None:
    temperature, logits = made(), STUDENT.clone().requires_grad_()
    temperature.loss(step_of(logits, TEACHER, LABELS)).loss.backward()
    fixed, other = STUDENT.clone().requires_grad_(), torch.tensor(tau(made()), dtype=torch.float64)
    step = step_of(fixed, TEACHER, LABELS)
    step.loss(make_policy("grid").temperature({"tau": other.item()}, seed=0).double().softening(step)).backward()
    assert logits.grad is not None
    assert fixed.grad is not None
    torch.testing.assert_close(logits.grad, fixed.grad, rtol=1e-6, atol=1e-9)


@given(theta=st.floats(allow_nan=True, allow_infinity=True))
def test_tau_is_finite_and_in_its_range_wherever_a_step_sends_theta(theta: float) -> None:
    temperature = made()
    temperature.get_parameter("theta").data.fill_(theta)
    softening = temperature(0, STUDENT, TEACHER)
    assert all(factor.isfinite() for factor in softening)
    assert LOWEST - 1e-9 <= softening.tau_student.item() <= HIGHEST + 1e-9


@pytest.mark.parametrize("limit", ["", ":limit=2.0"])
def test_the_limit_is_stated_in_theta(limit: str) -> None:
    temperature = made("ctkd" + limit)
    temperature.get_parameter("theta").data.fill_(-100)
    assert tau(temperature) == pytest.approx(1 + 20 * expit(-2.0 if limit else -4.0), rel=1e-12)


@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_theta_comes_back_from_the_end_of_its_range(direction: float) -> None:
    """A step of the optimizer sends it far out; when the loss then pulls the other way, it takes a few steps back."""
    temperature = made()
    theta = temperature.get_parameter("theta")
    optimizer = torch.optim.SGD([theta], lr=1.0)

    def pull(sign: float) -> None:
        optimizer.zero_grad()
        (sign * temperature(0, STUDENT, TEACHER).tau_student).backward()  # reversed: τ goes up with sign > 0
        optimizer.step()

    for _ in range(200):
        pull(direction)
    at_the_end = tau(temperature)
    assert at_the_end == pytest.approx(HIGHEST if direction > 0 else LOWEST, rel=1e-6)
    for _ in range(30):
        pull(-direction)
    assert abs(tau(temperature) - at_the_end) > 10


def test_theta_is_trained_by_the_students_optimizer(make_trial: MakeTrial) -> None:
    trial = make_trial("ctkd", settings={"recipe.epochs": 4})
    theta = trial.student.temperature.get_parameter("theta")
    assert any(parameter is theta for group in trial.student.optimizer.param_groups for parameter in group["params"])
    reports = list(trial.fit())
    means = [report.tau_mean for report in reports]
    assert len(set(means)) == len(means)
    assert theta.item() != 1.0
    for report in reports:
        assert report.tau_min is not None
        assert report.tau_max is not None
        assert 1 < report.tau_min <= report.tau_max < 21
        assert (report.policy_parameters, report.flops_policy) == (1, 0)


def test_it_climbs_what_the_student_descends() -> None:
    """With the student held still, steps of θ make the loss greater."""
    temperature = made()
    optimizer = torch.optim.SGD(temperature.parameters(), lr=0.05)
    losses: list[Tensor] = []
    for _ in range(20):
        optimizer.zero_grad()
        losses.append(temperature.loss(step_of(STUDENT, TEACHER, LABELS)).loss)
        losses[-1].backward()
        optimizer.step()
    assert all(after >= before for before, after in itertools.pairwise(losses))
    assert losses[-1] > losses[0]


@pytest.mark.parametrize("loss", ["cmc", "dml", "ce"])
def test_a_loss_that_tau_does_not_enter_leaves_it_where_it_is(loss: str, make_trial: MakeTrial) -> None:
    settings = {"loss": loss, "recipe.weight_decay": 0.0}
    *_, last = make_trial("ctkd", settings=settings).fit()
    assert last.tau_min == last.tau_max == pytest.approx(1 + 20 * expit(1.0))


def test_it_takes_nothing_from_the_space() -> None:
    assert make_policy("ctkd").restart_params(SPACES["tau"]) == {}


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("ctkd:ramp=0", ["ramp", "≥ 1", "0"]),
        ("ctkd:ramp=1.5", ["ramp", "whole number", "1.5"]),
        ("ctkd:limit=0.5", ["limit", "from 1", "to 10", "0.5"]),
        ("ctkd:limit=inf", ["limit", "to 10", "inf"]),
        ("ctkd:limit=nan", ["limit", "to 10", "nan"]),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(label: str, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        make_policy(label)
    assert "\n" not in str(refused.value)
    assert [word for word in words if word not in str(refused.value)] == []
