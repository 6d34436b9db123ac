"""The contract of a policy, over every policy of the catalogue and every variant that an option makes of one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_sequences import (
    COARSE,
    EPOCHS,
    LABELS,
    SINGLE,
    STEPS,
    TAU,
    all_steps,
    epoch_steps,
    first_params,
    logits,
    report,
    same,
    suggestions,
    taus_of,
    training_step,
)
from torch import Tensor

from policies import POLICIES
from policies.base import Temperature
from search_spaces import SPACES, Space
from tune_kd.config.catalogue import make_policy

UNTAUGHT = {"student"}  # have no temperature at all
SOFTENED = [label for label in LABELS if label not in UNTAUGHT]

every_policy = pytest.mark.parametrize("label", LABELS)
every_softening = pytest.mark.parametrize("label", SOFTENED)


def temperature_of(label: str, *, seed: int = 7, space: Space = TAU) -> Temperature:
    policy = make_policy(label)
    return policy.temperature(first_params(policy, space), seed)


@every_policy
@pytest.mark.parametrize("space", [TAU, SPACES["tau-alpha"], COARSE, SINGLE], ids=lambda space: space.name)
def test_a_temperature_chosen_from_the_space_lies_in_it(label: str, space: Space) -> None:
    policy = make_policy(label)
    for params in suggestions(policy.searcher(space, 3), 6):
        taus = taus_of(all_steps(policy.temperature(params, seed=5)))
        assert taus.isfinite().all()
        assert (taus > 0).all()
        if params.keys() & {"tau", "tau_low"} and label != "fixed":
            assert space.tau.low <= taus.min().item() <= taus.max().item() <= space.tau.high
        if "alpha" in params and label not in UNTAUGHT:
            assert params["alpha"] in space.dimensions["alpha"].levels()


@every_softening
@settings(max_examples=10)
@given(
    batch=st.integers(1, 300),
    classes=st.integers(2, 300),
    seed=st.integers(0, 2**31 - 1),
    epochs=st.integers(1, 300),
    progress=st.floats(0, 1),
)
def test_any_batch_any_classes_and_any_progress_can_be_softened(
    label: str, batch: int, classes: int, seed: int, epochs: int, progress: float
) -> None:
    temperature = temperature_of(label, seed=seed)
    temperature.begin_epoch(round(progress * (epochs - 1)), epochs, 2)
    for step in range(2):
        for factor in temperature(step, *logits(batch, classes, seed)):
            assert factor.shape in ((), (batch, 1))
            assert factor.isfinite().all()
            assert (factor > 0).all()


EXTREMES = {
    "zero": (torch.zeros(3, 5), torch.zeros(3, 5)),
    "all equal and negative": (torch.full((3, 5), -7.0), torch.full((3, 5), -7.0)),
    "the student's all equal": (torch.zeros(3, 5), logits(3, 5, 0)[1]),
    "the teacher's all equal": (logits(3, 5, 0)[0], torch.full((3, 5), 4.0)),
    "all but equal": (1e-30 * logits(3, 5, 1)[0], 1 + 1e-7 * logits(3, 5, 1)[1]),
    "negative": (-50 - logits(3, 5, 2)[0].abs(), -9 - logits(3, 5, 2)[1].abs()),
    "opposite maxima": (-5 - logits(3, 5, 3)[0].abs(), 5 + logits(3, 5, 3)[1].abs()),
    "huge": tuple(1e6 * z for z in logits(3, 5, 4)),
    "enormous": tuple(1e15 * z for z in logits(3, 5, 5)),
    "huge beside small": (1e-3 * logits(3, 5, 6)[0], 1e6 * logits(3, 5, 6)[1]),
}


@every_policy
@pytest.mark.parametrize("extreme", EXTREMES)
def test_extreme_logits_leave_temperature_loss_and_gradient_finite(label: str, extreme: str) -> None:
    temperature = temperature_of(label)
    student, teacher = EXTREMES[extreme]
    temperature.begin_epoch(0, EPOCHS, STEPS)
    student = student.clone().requires_grad_()
    found = temperature.loss(training_step(0, student, teacher if temperature.needs_teacher else None))
    (gradient,) = torch.autograd.grad(found.loss, [student])
    assert found.loss.shape == ()
    assert found.loss.isfinite()
    assert gradient.isfinite().all()
    if label not in UNTAUGHT:
        for factor in temperature(0, student.detach(), teacher):
            assert factor.isfinite().all()
            assert (factor > 0).all()


@every_policy
def test_the_same_seed_gives_the_same_temperatures(label: str) -> None:
    first, second = (all_steps(temperature_of(label)) for _ in range(2))
    assert same(first, second)


@every_policy
def test_another_seed_gives_others_where_they_are_random(label: str) -> None:
    first, second = (taus_of(all_steps(temperature_of(label, seed=seed), steps=20)) for seed in (7, 8))
    assert torch.equal(first, second) == (not label.startswith("stochastic"))


@every_policy
@pytest.mark.parametrize("done", range(1, EPOCHS))
def test_a_resumed_temperature_goes_on_as_if_never_stopped(label: str, done: int) -> None:
    stopped, resumed = temperature_of(label), temperature_of(label)
    expected = all_steps(temperature_of(label))
    for epoch in range(done):
        epoch_steps(stopped, epoch)
        stopped.observe(report(epoch))
    resumed.load_state_dict(stopped.state_dict())
    found = []
    for epoch in range(done, EPOCHS):
        found += epoch_steps(resumed, epoch)
        resumed.observe(report(epoch))
    assert same(found, expected[done * STEPS :])


@every_policy
def test_drawing_temperatures_leaves_the_global_random_state_alone(label: str) -> None:
    before = torch.get_rng_state()
    all_steps(temperature_of(label))
    assert torch.equal(torch.get_rng_state(), before)


@every_softening
def test_where_both_networks_have_one_temperature_the_weight_is_its_square(label: str) -> None:
    temperature = temperature_of(label)
    temperature.begin_epoch(0, 1, STEPS)
    for step in range(STEPS):
        tau_student, tau_teacher, weight = temperature(step, *logits(4, 3, seed=step))
        if torch.equal(tau_student, tau_teacher):
            torch.testing.assert_close(weight, tau_student.square())


@every_softening
def test_a_shift_of_the_logits_changes_no_temperature_of_a_spread(label: str) -> None:
    """Softmax does not see it; DTKD's published ratio of maxima does."""
    if label.startswith("dtkd"):
        pytest.skip("its ratio is of maxima as they are")
    temperature = temperature_of(label)
    temperature.begin_epoch(0, 1, STEPS)
    student, teacher = logits(4, 3, seed=0)
    shifted: tuple[Tensor, ...] = temperature(0, student + 8, teacher - 4)
    for factor, expected in zip(shifted, temperature(0, student, teacher), strict=True):
        torch.testing.assert_close(factor, expected)


@every_policy
def test_a_policy_says_whether_its_temperature_moves_within_a_trial(label: str) -> None:
    temperature = temperature_of(label)
    if next(temperature.parameters(), None) is not None:
        pytest.skip("it moves as it learns, with an optimizer: see the tests of the policy itself")
    taus = taus_of(all_steps(temperature, steps=20))
    assert make_policy(label).moves_within == (len(taus.unique()) > 1)


@every_policy
def test_the_same_seed_searches_the_same_way(label: str) -> None:
    policy = make_policy(label)
    first, second = (suggestions(policy.searcher(TAU, 11), 16) for _ in range(2))
    assert first == second


@every_policy
def test_a_searcher_suggests_as_many_trials_as_the_recipe_has(label: str) -> None:
    policy = make_policy(label)
    native = policy.native_trials(SPACES["tau-alpha"])
    assert native is None or len(suggestions(policy.searcher(SPACES["tau-alpha"], 0), native)) == native


def test_the_catalogue_goes_by_the_policies_own_names() -> None:
    assert POLICIES.keys() >= {"grid", "random", "tpe", "annealing", "stochastic"}
    assert all(policy.name == name for name, policy in POLICIES.items())
