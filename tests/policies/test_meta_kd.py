"""Meta-KD: an exact gradient through the student's next step, a student left alone, and every pass charged."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import Tensor, nn
from torch.nn import functional as F
from training_steps import step_of

from policies.base import ExtraPasses, Temperature
from policies.meta_kd import HIGHEST, LOWEST, look_ahead, meta_gradient, softening
from search_spaces import SPACES
from tune_kd import models
from tune_kd.config.catalogue import make_policy
from tune_kd.data import ImageData, ImageSet
from tune_kd.errors import InputError
from tune_kd.meter import flops
from tune_kd.storage import checkpoints
from tune_kd.training.step import Step
from tune_kd.training.trial import Trial

MakeTrial = Callable[..., Trial]
GENERATOR = torch.Generator().manual_seed(0)
IMAGES, HELD_OUT = torch.randn(2, 12, 1, 4, 4, generator=GENERATOR, dtype=torch.float64)
LABELS, HELD_OUT_LABELS = torch.randint(3, (2, 12), generator=GENERATOR)
TEACHER = 4 * torch.randn(12, 3, generator=GENERATOR, dtype=torch.float64)
LOG_TAUS = torch.tensor([math.log(2.0), math.log(5.0)], dtype=torch.float64)


def network() -> nn.Module:
    """With a batch norm, in float64 and in training."""
    torch.manual_seed(1)
    layers = nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 3)
    return nn.Sequential(*layers).double().train()


def step_with(student: nn.Module, **options: object) -> Step:
    """The first batch of an epoch for ``student``, at a learning rate of 0.3."""
    return step_of(
        student(IMAGES),
        TEACHER,
        LABELS,
        student=student,
        images=IMAGES,
        learning_rate=0.3,
        held_out=(HELD_OUT, HELD_OUT_LABELS),
        **options,  # type: ignore[arg-type]
    )


def made(label: str = "meta-kd") -> Temperature:
    temperature = make_policy(label).temperature({}, seed=0).double()
    temperature.begin_epoch(0, 4, 8)
    return temperature


def taus(temperature: Temperature) -> list[float]:
    found = temperature(0, torch.zeros(2, 3), torch.zeros(2, 3))
    return [found.tau_student.item(), found.tau_teacher.item()]


# The gradient


def test_student_and_teacher_have_a_temperature_each_and_the_weight_is_their_product() -> None:
    found = softening(LOG_TAUS)
    assert [factor.item() for factor in found] == pytest.approx([2, 5, 10], rel=1e-12)


def test_the_look_ahead_of_a_linear_student_is_a_gradient_step_by_hand() -> None:
    student = nn.Linear(16, 3, bias=False).double()
    flat = IMAGES.flatten(1)
    step = step_of(student(flat), TEACHER, LABELS, student=student, images=flat, learning_rate=0.3, alpha=0.9)
    inputs, weights = flat.numpy(), student.weight.detach().numpy()
    logits, teacher, labels = inputs @ weights.T, TEACHER.numpy(), np.eye(3)[LABELS.numpy()]
    tau_student, tau_teacher = 2.0, 5.0
    soft = softmax(logits / tau_student, axis=1) - softmax(teacher / tau_teacher, axis=1)
    hard = softmax(logits, axis=1) - labels
    of_logits = (0.9 * tau_student * tau_teacher / tau_student * soft + 0.1 * hard) / len(inputs)
    expected = weights - 0.3 * of_logits.T @ inputs
    found = look_ahead(step, LOG_TAUS.clone().requires_grad_())
    np.testing.assert_allclose(found["weight"].detach().numpy(), expected, rtol=1e-10)


def held_out_loss_after_a_step(log_taus: Tensor) -> float:
    """Train a copy of the student for one step at fixed temperatures, and ask it: no derivative is taken of τ."""
    student = network()
    tau_student, tau_teacher = log_taus.exp().tolist()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.3)
    log_q = F.log_softmax(student(IMAGES) / tau_student, dim=1)
    target = F.softmax(TEACHER / tau_teacher, dim=1)
    kl = (target * (target.log() - log_q)).sum(dim=1).mean()
    (0.95 * tau_student * tau_teacher * kl + 0.05 * F.cross_entropy(student(IMAGES), LABELS)).backward()
    optimizer.step()
    logits = student(HELD_OUT).detach().numpy()
    return float(-log_softmax(logits, axis=1)[np.arange(12), HELD_OUT_LABELS.numpy()].mean())


@pytest.mark.parametrize("log_taus", [LOG_TAUS, LOG_TAUS.flip(0), torch.zeros(2, dtype=torch.float64)])
def test_the_meta_gradient_is_that_of_the_held_out_loss_after_a_step(log_taus: Tensor) -> None:
    found = meta_gradient(step_with(network()), log_taus, HELD_OUT, HELD_OUT_LABELS)
    for index, slope in enumerate(found.tolist()):
        change = torch.zeros(2, dtype=torch.float64)
        change[index] = 1e-4
        rise = held_out_loss_after_a_step(log_taus + change) - held_out_loss_after_a_step(log_taus - change)
        assert slope == pytest.approx(rise / 2e-4, rel=1e-5, abs=1e-9)
        assert abs(slope) > 1e-6


def test_the_temperatures_move_downhill_before_the_batch_is_trained_on() -> None:
    """Adam's first step is the rate, against the sign of the gradient, in log τ."""
    temperature = made("meta-kd:start=3.0:rate=0.01")
    step = step_with(network())
    slopes = meta_gradient(step, torch.full((2,), math.log(3.0), dtype=torch.float64), HELD_OUT, HELD_OUT_LABELS)
    found = temperature.loss(step)
    expected = [3 * math.exp(-0.01 * math.copysign(1, slope)) for slope in slopes.tolist()]
    assert taus(temperature) == pytest.approx(expected, rel=1e-4)
    assert found.tau is not None
    assert found.tau.item() == taus(temperature)[0]
    assert torch.equal(found.loss, step.loss(temperature.softening(step)))


@pytest.mark.parametrize("loss", ["cmc", "dml", "ce"])
def test_a_loss_that_tau_does_not_enter_has_no_meta_gradient(loss: str) -> None:
    step = step_with(network(), settings={"loss": loss})
    assert meta_gradient(step, LOG_TAUS, HELD_OUT, HELD_OUT_LABELS).tolist() == [0, 0]


# The student


def test_looking_ahead_leaves_the_student_and_its_statistics_alone() -> None:
    student, watched = network(), network()
    step = step_with(student)
    before = copy.deepcopy(student.state_dict())
    temperature = made()
    loss = temperature.loss(step).loss
    assert all(torch.equal(tensor, before[name]) for name, tensor in student.state_dict().items())
    assert all(parameter.grad is None for parameter in student.parameters())
    assert student.training
    loss.backward()
    at_the_same = step_with(watched)
    at_the_same.loss(temperature.softening(at_the_same)).backward()
    for one, other in zip(student.parameters(), watched.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-12, atol=1e-14)


def test_the_students_optimizer_leaves_the_temperatures_alone(make_trial: MakeTrial) -> None:
    """Its weight decay would pull log τ towards 0, τ towards 1."""
    trial = make_trial("meta-kd:every=1000", settings={"recipe.weight_decay": 0.5})
    learned = {parameter for group in trial.student.optimizer.param_groups for parameter in group["params"]}
    assert learned == set(trial.student.network.parameters())
    trial.student.temperature.every = 10**9  # type: ignore[assignment]
    first, *_ = trial.fit()
    assert first.policy_parameters == 2


def test_what_is_held_out_is_not_trained_on(make_trial: MakeTrial) -> None:
    trial, whole = make_trial("meta-kd:held_out=0.25"), make_trial("grid")
    assert (len(trial.held_out_part), len(trial.train_part)) == (85, 255)
    assert sorted(torch.bincount(trial.held_out_part.labels).tolist())[0] >= 7  # of every class, a quarter of 34
    together = [*trial.held_out_part.images.flatten(1).tolist(), *trial.train_part.images.flatten(1).tolist()]
    assert sorted(together) == sorted(whole.train_part.images.flatten(1).tolist())


# Guards


def test_a_training_set_too_small_to_hold_anything_out_is_refused_in_one_line(
    make_trial: MakeTrial, digits: ImageData
) -> None:
    few = ImageSet(images=digits.train.images[:40], labels=digits.train.labels[:40])
    with pytest.raises(InputError, match=r"^cannot hold 0.1 of 40 training images out: [^\n]*$"):
        make_trial("meta-kd", data=replace(digits, train=few))


def test_frozen_and_unused_weights_of_a_student_stay_where_they_are() -> None:
    student = network()
    student.register_parameter("unused", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    student.get_parameter("0.weight").requires_grad_(False)
    step = step_with(student)
    ahead = look_ahead(step, LOG_TAUS.clone().requires_grad_())
    assert ahead.keys() == dict(student.named_parameters()).keys() - {"0.weight"}
    assert ahead["unused"].tolist() == [1, 1]
    assert meta_gradient(step, LOG_TAUS, HELD_OUT, HELD_OUT_LABELS).abs().min() > 1e-6


@pytest.mark.parametrize("rate", [50.0, 1e30])
def test_the_temperatures_stay_in_their_range_at_any_rate(rate: float) -> None:
    temperature = made(f"meta-kd:rate={rate}")
    for _ in range(4):
        temperature.loss(step_with(network()))
        assert all(LOWEST * (1 - 1e-9) <= tau <= HIGHEST * (1 + 1e-9) for tau in taus(temperature))


def test_a_gradient_that_is_not_finite_moves_nothing() -> None:
    student = network()
    nn.init.constant_(student.get_parameter("0.weight"), math.nan)
    temperature = made()
    temperature.loss(step_with(student))
    assert taus(temperature) == pytest.approx([4, 4], rel=1e-6)


# What it costs


@pytest.mark.parametrize("name", ["digits-student", "digits-teacher", "wrn-16-1", "mobilenetv2", "shufflenetv2"])
def test_what_is_charged_is_what_is_computed(name: str) -> None:
    """To the last multiplication, by the counter that watches the pass itself."""
    size = 8 if name.startswith("digits") else 16
    student = models.build(name, classes=10, channels=1, image_size=size).train()
    images, held_out = torch.randn(4, 1, size, size), torch.randn(2, 1, size, size)
    labels, teacher = torch.randint(10, (4,)), torch.randn(4, 10)
    temperature = make_policy("meta-kd").temperature({}, seed=0)
    temperature.begin_epoch(0, 1, 1)
    step = step_of(
        student(images), teacher, labels, student=student, images=images, held_out=(held_out, torch.arange(2))
    )
    with flops.counting() as counted:
        temperature.loss(step)
    assert temperature.extra_passes == ExtraPasses(forward=2, backward=4 + 2, twice=4)
    per_image, twice = flops.count(student, (1, size, size)), flops.differentiated_twice(student, (1, size, size))
    assert counted.get_total_flops() == 2 * per_image.forward + 6 * per_image.backward + 4 * twice


def test_a_network_that_cannot_be_differentiated_twice_has_no_such_cost() -> None:
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(context: object, images: Tensor) -> Tensor:
            return images.flatten(1).sum(1, keepdim=True)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context: object, upstream: Tensor) -> Tensor:
            return upstream[:, :, None, None].expand(-1, 1, 8, 8)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, images: Tensor) -> Tensor:
            return Once.apply(images * self.weight)  # type: ignore[no-any-return]

    assert flops.differentiated_twice(Network(), (1, 8, 8)) == 0


@pytest.mark.parametrize(("every", "looks"), [(1, 5), (2, 3), (5, 1)])
def test_every_pass_is_charged_every_epoch(every: int, looks: int, make_trial: MakeTrial) -> None:
    """306 images in batches of 64 are trained on, 34 held out; batches 0, N, 2N, … of an epoch look ahead."""
    trial = make_trial(f"meta-kd:every={every}")
    seen, held_out = sum([64, 64, 64, 64, 50][::every]), looks * 34
    student, twice = trial.costs.student, trial.costs.student_twice
    an_epoch = held_out * student.forward + (seen + held_out) * student.backward + seen * twice
    for epoch, report in enumerate(trial.fit(), start=1):
        assert report.flops_policy == epoch * an_epoch
        parts = report.flops_forward + report.flops_backward + report.flops_teacher + report.flops_eval
        assert report.flops_executed == parts + report.flops_policy
        assert report.flops_forward == epoch * 306 * student.forward
    assert trial.student.temperature.extra_passes == ExtraPasses(held_out, seen + held_out, twice=seen)


# Within a trial


@pytest.mark.parametrize("settings", [{}, {"precision": "bfloat16"}], ids=["float32", "bfloat16"])
def test_the_temperatures_are_learned_while_the_student_is(settings: dict[str, str], make_trial: MakeTrial) -> None:
    longer = {"recipe.epochs": 5, "recipe.batch_size": 16, "recipe.milestones": []}
    trial = make_trial("meta-kd", settings=settings | longer)
    *_, last = trial.fit()
    assert last.val_loss < math.log(10)
    tau_student, tau_teacher = taus(trial.student.temperature)
    assert len({tau_student, tau_teacher, 4.0}) == 3
    assert last.tau_min is not None
    assert LOWEST <= last.tau_min < HIGHEST


def test_a_resumed_trial_goes_on_with_its_optimizers_moments(make_trial: MakeTrial, tmp_path: Path) -> None:
    whole = make_trial("meta-kd")
    expected = [(report.tau_mean, report.val_loss) for report in whole.fit()]
    before = list(itertools.islice(make_trial("meta-kd", checkpoint=tmp_path / "cut.pt").fit(), 2))
    state = checkpoints.load(tmp_path / "cut.pt")
    assert state is not None
    moments = state["temperature"]["_extra_state"]["state"][0]
    assert moments["step"] == 2 * 5
    resumed = make_trial("meta-kd", checkpoint=tmp_path / "cut.pt")
    after = list(resumed.fit())
    assert [(report.tau_mean, report.val_loss) for report in [*before, *after]] == expected
    assert taus(resumed.student.temperature) == taus(whole.student.temperature)


def test_it_takes_nothing_from_the_space() -> None:
    assert make_policy("meta-kd").restart_params(SPACES["tau"]) == {}


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("meta-kd:start=0.1", ["start", "0.5", "50", "0.1"]),
        ("meta-kd:start=inf", ["start", "0.5", "50", "inf"]),
        ("meta-kd:rate=0.0", ["rate", "> 0", "0.0"]),
        ("meta-kd:rate=nan", ["rate", "finite", "nan"]),
        ("meta-kd:every=0", ["every", "≥ 1", "0"]),
        ("meta-kd:every=1.5", ["every", "whole number", "1.5"]),
        ("meta-kd:held_out=0.0", ["held_out", "between 0 and 1", "0.0"]),
        ("meta-kd:held_out=1.0", ["held_out", "between 0 and 1", "1.0"]),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(label: str, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        make_policy(label)
    assert "\n" not in str(refused.value)
    assert [word for word in words if word not in str(refused.value)] == []
