"""Annealing-KD: its two phases, the steps of T, and that the second is not charged for a teacher."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from training_steps import step_of

from policies.annealing_kd import annealed_matching
from policies.base import Temperature, hinton
from search_spaces import SPACES
from tune_kd.config.catalogue import make_policy
from tune_kd.errors import InputError
from tune_kd.training.trial import Trial

MakeTrial = Callable[..., Trial]
STUDENT, TEACHER = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 3, 1, 2, 2])


def made(label: str = "annealing-kd", **params: float) -> Temperature:
    return make_policy(label).temperature(params, seed=0)


def taus(temperature: Temperature, epoch: int, epochs: int, steps: int) -> list[float]:
    temperature.begin_epoch(epoch, epochs, steps)
    return [temperature(step, STUDENT, TEACHER).tau_student.item() for step in range(steps)]


def all_taus(temperature: Temperature, epochs: int, steps: int) -> list[float]:
    return [tau for epoch in range(epochs) for tau in taus(temperature, epoch, epochs, steps)]


@pytest.mark.parametrize("tau", [1, 2, 7, 10])
def test_phase_1_matches_the_annealed_logits(tau: int) -> None:
    student, teacher = STUDENT.numpy(), TEACHER.numpy()
    difference = student - (1 - (tau - 1) / 10) * teacher
    given_logits = STUDENT.clone().requires_grad_()
    loss = annealed_matching(given_logits, TEACHER, torch.tensor(float(tau), dtype=torch.float64), 10)
    (gradient,) = torch.autograd.grad(loss, [given_logits])
    assert loss.item() == pytest.approx(np.square(difference).mean(), rel=1e-12)
    np.testing.assert_allclose(gradient.numpy(), 2 * difference / difference.size, rtol=1e-12)


def test_a_batch_of_phase_1_is_trained_on_by_that_alone_and_reports_t() -> None:
    """Whatever the scenario's loss and α."""
    temperature = made()
    temperature.begin_epoch(5, 20, 3)
    found = temperature.loss(step_of(STUDENT, TEACHER, LABELS, number=1, settings={"loss": "dml"}, alpha=0.3))
    assert found.tau is not None
    assert found.tau.item() == 5
    expected = np.square(STUDENT.numpy() - 0.6 * TEACHER.numpy()).mean()
    assert found.loss.item() == pytest.approx(expected, rel=1e-6)


def test_phase_2_is_the_cross_entropy_alone_and_knows_no_tau() -> None:
    temperature = made()
    temperature.begin_epoch(10, 20, 3)
    assert not temperature.needs_teacher
    found = temperature.loss(step_of(STUDENT, None, LABELS, alpha=0.3))
    logits = STUDENT.numpy()
    picked = logits[np.arange(5), LABELS.numpy()]
    assert found.loss.item() == pytest.approx((np.log(np.exp(logits).sum(axis=1)) - picked).mean(), rel=1e-12)
    assert found.tau is None


def test_the_published_schedule() -> None:
    """Their code: 200 and 200 epochs, the teacher's factor k/10 with k = 1 at first and one more every 20 epochs."""
    temperature = made()
    for epoch in range(400):
        first, second = taus(temperature, epoch, 400, 2)
        assert temperature.needs_teacher == (epoch < 200)
        if epoch < 200:
            assert first == second
            assert 1 - (first - 1) / 10 == pytest.approx((1 + epoch // 20) / 10)


@given(epochs=st.integers(1, 30), steps=st.integers(1, 30), tau_max=st.integers(1, 40), share=st.floats(0.05, 0.95))
def test_t_steps_down_to_1_in_equal_shares_of_phase_1(epochs: int, steps: int, tau_max: int, share: float) -> None:
    temperature = made(f"annealing-kd:phase_1={share}", tau_high=tau_max)
    found: list[float] = []
    for epoch in range(epochs):
        of_epoch = taus(temperature, epoch, epochs, steps)
        if temperature.needs_teacher:
            found += of_epoch
        else:
            assert set(of_epoch) == {1.0}
    assert len(found) == math.ceil(share * epochs) * steps
    assert found[0] == tau_max
    assert found == sorted(found, reverse=True)
    if len(found) >= tau_max:
        shares = [found.count(tau) for tau in range(1, tau_max + 1)]
        assert sum(shares) == len(found)
        assert max(shares) - min(shares) <= 1


def test_tau_max_is_the_methods_own_or_the_trials() -> None:
    policy = make_policy("annealing-kd")
    assert policy.restart_params(SPACES["tau"]) == {"tau_high": 10}
    assert all_taus(policy.temperature({"tau_high": 4.0}, seed=0), 2, 4) == [4, 3, 2, 1, 1, 1, 1, 1]
    assert all_taus(made("annealing-kd:tau_max=2"), 2, 4) == [2, 2, 1, 1, 1, 1, 1, 1]


def test_the_temperature_alone_is_the_scenarios_loss_at_t_with_a_teacher_to_the_end() -> None:
    temperature = made("annealing-kd:temperature_only=true")
    for epoch, tau in ((0, 10.0), (5, 5.0), (10, 1.0), (19, 1.0)):
        temperature.begin_epoch(epoch, 20, 3)
        assert temperature.needs_teacher
        step = step_of(STUDENT, TEACHER, LABELS, number=0)
        found = temperature.loss(step)
        assert found.tau == tau
        assert torch.equal(found.loss, step.loss(hinton(torch.tensor(tau))))


def test_no_teacher_is_asked_or_charged_in_phase_2(make_trial: MakeTrial) -> None:
    trial = make_trial("annealing-kd", settings={"recipe.epochs": 5})
    asked = []
    trial.teacher.register_forward_hook(lambda _, inputs, __: asked.append(len(inputs[0])))
    reports = list(trial.fit())
    trained, flops = 340, trial.costs.teacher.forward
    assert sum(asked) == 3 * trained
    assert [report.flops_teacher for report in reports] == [flops * trained * epochs for epochs in (1, 2, 3, 3, 3)]
    assert reports[2].teacher_s == reports[4].teacher_s
    assert [report.tau_mean is None for report in reports] == [False, False, False, True, True]
    assert (reports[0].tau_max, reports[2].tau_min) == (10, 1)
    forward_only = [(report.flops_forward, report.flops_teacher) for report in reports]
    assert [report.flops_paper for report in reports] == [sum(pair) for pair in forward_only]


def test_the_temperature_alone_is_charged_like_any_other(make_trial: MakeTrial) -> None:
    *_, last = make_trial("annealing-kd:temperature_only=true").fit()
    *_, other = make_trial("annealing").fit()
    assert last.flops_executed == other.flops_executed
    assert last.tau_max == 1


def test_the_weights_do_not_depend_on_alpha(make_trial: MakeTrial) -> None:
    first, second = (make_trial("annealing-kd", settings={"alpha": alpha}) for alpha in (0.1, 0.9))
    for trial in (first, second):
        list(trial.fit())
    pairs = zip(first.student.network.parameters(), second.student.network.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_it_learns(make_trial: MakeTrial) -> None:
    settings = {"recipe.epochs": 6, "recipe.batch_size": 16, "recipe.milestones": []}
    *_, last = make_trial("annealing-kd", settings=settings).fit()
    assert last.val_loss < math.log(10)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("annealing-kd:tau_max=0", ["tau_max", "≥ 1", "0"]),
        ("annealing-kd:tau_max=2.5", ["tau_max", "whole number", "2.5"]),
        ("annealing-kd:phase_1=0.0", ["phase_1", "between 0 and 1", "0.0"]),
        ("annealing-kd:phase_1=1.0", ["phase_1", "between 0 and 1", "1.0"]),
        ("annealing-kd:phase_1=nan", ["phase_1", "between 0 and 1", "nan"]),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(label: str, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        make_policy(label)
    assert "\n" not in str(refused.value)
    assert [word for word in words if word not in str(refused.value)] == []


@pytest.mark.parametrize("tau_high", [0.0, -3.0, 2.5, math.nan, math.inf])
def test_a_tau_max_that_cannot_be_stepped_down_is_refused(tau_high: float) -> None:
    with pytest.raises(ValueError, match="tau_high must be a whole number ≥ 1, got"):
        made(tau_high=tau_high)


def test_a_temperature_is_a_tensor_of_the_epochs(make_trial: MakeTrial) -> None:
    """All of them are on the device before the first step: a step picks one, and copies nothing."""
    temperature = made()
    temperature.begin_epoch(0, 4, 6)
    softening = temperature(2, STUDENT, TEACHER)
    assert isinstance(softening.tau_student, Tensor)
    assert softening.tau_student.data_ptr() == temperature.get_buffer("taus")[2].data_ptr()
