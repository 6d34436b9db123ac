"""The contract of a policy as a check that a test can call: ``check_policy(MyPolicy())``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from policies.base import HeldOut, Policy, Softening, StepLoss, Temperature
from search_spaces import SPACES, Space

EPOCHS, STEPS, BATCH, CLASSES, SIZE = 3, 4, 5, 4, 6
SHAPES = ((), (3,))  # between batch and classes in the logits: nothing, or anchors


def check_policy(policy: Policy, space: Space = SPACES["tau"]) -> None:
    """Check that ``policy`` keeps the contract of ``policies/base.py`` in ``space``. Raises AssertionError if not.

    The check takes a moment: a toy student gets random images, and only the temperature learns. The logits are
    [B, n], then [B, A, n].
    """
    suggested, again = (suggestions(policy, space) for _ in range(2))
    assert suggested == again, "the same seed must suggest the same parameters"
    native = policy.native_trials(space)
    assert native is None or len(suggested) == min(native, MOST), f"the recipe has {native} trials to suggest"
    for params, anchors in product(suggested[:2], SHAPES):
        _check_temperature(policy, params, anchors)


MOST = 4


def suggestions(policy: Policy, space: Space) -> list[dict[str, float]]:
    """The first parameters that the policy's searcher suggests, each trial ended before the next."""
    searcher, found = policy.searcher(space, 1), []
    for index in range(min(MOST, policy.native_trials(space) or MOST)):
        params = searcher.suggest(f"trial-{index}")
        assert isinstance(params, dict), f"trial {index} must be suggested as a dict of numbers, got {params!r}"
        found.append(params)
        result = {"val_score": 0.5, "energy_j": 1.0, "flops_executed": 1.0, "training_iteration": 1}
        searcher.on_trial_complete(f"trial-{index}", result)
    return found


def _check_temperature(policy: Policy, params: Mapping[str, float], anchors: tuple[int, ...]) -> None:
    before = torch.get_rng_state()
    whole = _training(policy.temperature(params, seed=7), anchors)
    assert torch.equal(before, torch.get_rng_state()), "draw from a generator of your own, not from torch's global one"
    for step in whole:
        assert step.loss.shape == (), f"a loss must be a scalar, got the shape {tuple(step.loss.shape)}"
        assert step.loss.isfinite(), f"a loss must be finite, got {step.loss}"
        if step.tau is not None:
            _check_shape("τ", step.tau, (BATCH, *anchors, CLASSES))
            assert (step.tau.isfinite() & (step.tau > 0)).all(), f"τ must be finite and > 0, got {step.tau}"
    same = _training(policy.temperature(params, seed=7), anchors)
    assert _equal(whole, same), "the same parameters and seed must give the same temperatures"
    taus = torch.cat([torch.empty(0), *(step.tau.reshape(-1) for step in whole if step.tau is not None)])
    moves = len(taus.unique()) > 1
    assert moves == policy.moves_within, f"moves_within must say whether τ moves within a trial: {moves}"
    _check_resumed(policy, params, anchors, whole)
    _check_blind(policy.temperature(params, seed=7), policy.temperature(params, seed=7), anchors)


def _training(temperature: Temperature, anchors: tuple[int, ...]) -> list[StepLoss]:
    return [losses for epoch in epochs(temperature, anchors=anchors) for losses in epoch]


def _check_shape(what: str, part: Tensor, logits: tuple[int, ...]) -> None:
    """A part must be (), or have the dimensions of the logits: 1 for the classes, and 1 or all of the others."""
    whole = (*logits[:-1], 1)
    fits = len(part.shape) == len(whole) and all(
        side in (1, most) for side, most in zip(part.shape, whole, strict=True)
    )
    assert fits or part.shape == (), (
        f"{what} must be () or have the dimensions of the logits, 1 for the classes, "
        f"got {tuple(part.shape)} for logits {logits}"
    )


def _check_resumed(
    policy: Policy, params: Mapping[str, float], anchors: tuple[int, ...], whole: list[StepLoss]
) -> None:
    stopped, resumed = (policy.temperature(params, seed=7) for _ in range(2))
    first = epochs(stopped, until=1, anchors=anchors)
    resumed.load_state_dict(stopped.state_dict())
    rest = epochs(resumed, since=1, anchors=anchors)
    found = [losses for epoch in (*first, *rest) for losses in epoch]
    assert _equal(found, whole), "a temperature must go on from its state_dict() as if it had never stopped"


def _check_blind(temperature: Temperature, blind: Temperature, anchors: tuple[int, ...]) -> None:
    """If ``reads_teacher`` is False, empty teacher logits must give the same softening."""
    for each in (temperature, blind):
        each.begin_epoch(0, EPOCHS, STEPS)
    if temperature.reads_teacher or not temperature.needs_teacher:
        return
    step = toy_step(temperature, 0, 0, anchors)
    expected = temperature.softening(step)
    step.teacher_logits = None
    try:
        same = all(map(torch.equal, expected, blind.softening(step)))
    except (IndexError, RuntimeError):  # whatever is computed from empty logits
        same = False
    assert same, "reads_teacher must be True where the temperature looks at the teacher's logits"


def epochs(
    temperature: Temperature, since: int = 0, until: int = EPOCHS, anchors: tuple[int, ...] = ()
) -> list[list[StepLoss]]:
    """The losses of some of the ``EPOCHS`` of a toy training, epoch by epoch; only the temperature learns."""
    found = []
    for epoch in range(since, until):
        temperature.begin_epoch(epoch, EPOCHS, STEPS)
        found.append([_trained(temperature, toy_step(temperature, epoch, step, anchors)) for step in range(STEPS)])
        temperature.observe({"epoch": epoch + 1, "val_score": 0.5, "val_loss": 1.0, "train_loss": 1.0})
    return found


@dataclass(kw_only=True)
class ToyStep:
    """One batch of random images, a linear student and a more certain linear teacher."""

    number: int
    images: Tensor
    labels: Tensor
    student: nn.Module
    teacher_logits: Tensor | None
    learning_rate: float = 0.1
    student_logits: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.student_logits = self.student(self.images)

    def cross_entropy(self) -> Tensor:
        return self.hard_loss(self.student_logits, self.labels)

    def hard_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(end_dim=-2), labels.flatten())

    def squared_distance(self, one: Tensor, other: Tensor) -> Tensor:
        return F.mse_loss(one, other)

    def distillation(self, softening: Softening) -> Tensor:
        assert self.teacher_logits is not None, "there is no distillation in an epoch that needs no teacher"
        for what, part in softening._asdict().items():
            _check_shape(what, part, tuple(self.student_logits.shape))
        student = F.log_softmax(self.student_logits / softening.tau_student, dim=-1)
        teacher = F.log_softmax(self.teacher_logits / softening.tau_teacher, dim=-1)
        kl = F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=-1)
        return (softening.weight.squeeze(-1) * kl).mean()

    def loss(self, softening: Softening) -> Tensor:
        return 0.9 * self.distillation(softening) + 0.1 * self.cross_entropy()

    def logits_at(self, weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
        logits: Tensor = functional_call(self.student, dict(weights), (images,))
        return logits

    def held_out(self) -> HeldOut:
        return HeldOut(self.images, self.labels)


def toy_step(temperature: Temperature, epoch: int, number: int, anchors: tuple[int, ...] = ()) -> ToyStep:
    """Batch ``number`` of ``epoch``: a function of the two and of the logits' shape, and nothing else."""
    generator = torch.Generator().manual_seed(1000 * epoch + number)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        student, teacher = (toy_network(anchors) for _ in range(2))
    images = torch.randn(BATCH, 1, SIZE, SIZE, generator=generator)
    logits = 3 * teacher(images).detach() if temperature.needs_teacher else None
    labels = torch.randint(CLASSES, (BATCH, *anchors), generator=generator)
    return ToyStep(number=number, images=images, labels=labels, student=student, teacher_logits=logits)


def toy_network(anchors: tuple[int, ...]) -> nn.Module:
    """Images to logits, [B, n] or [B, A, n], by one linear layer."""
    linear = nn.Linear(SIZE * SIZE, math.prod(anchors) * CLASSES)
    return nn.Sequential(nn.Flatten(), linear, nn.Unflatten(1, (*anchors, CLASSES)))


def _trained(temperature: Temperature, step: ToyStep) -> StepLoss:
    """The loss and τ of a step, after which what the temperature learns by gradient is a step further."""
    found = temperature.loss(step)
    learned = [parameter for parameter in temperature.parameters() if parameter.requires_grad]
    kept = StepLoss(found.loss.detach().clone(), None if found.tau is None else found.tau.detach().clone())
    for parameter, slope in zip(learned, _gradients(found.loss, learned), strict=True):
        if slope is not None:
            parameter.data.sub_(slope, alpha=step.learning_rate)
    return kept


def _gradients(loss: Tensor, parameters: list[nn.Parameter]) -> tuple[Tensor | None, ...]:
    return torch.autograd.grad(loss, parameters, allow_unused=True) if parameters else ()


def _equal(first: list[StepLoss], second: list[StepLoss]) -> bool:
    def same(a: Tensor | None, b: Tensor | None) -> bool:
        return (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))

    return all(same(a.loss, b.loss) and same(a.tau, b.tau) for a, b in zip(first, second, strict=True))
