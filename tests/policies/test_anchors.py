"""Logits of A anchors, [B, A, n]: every policy's loss and gradient by numpy in float64, beside those of [B, n]."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_losses import Array, slope
from numpy_policies import ALPHA, VARIANTS, cross_entropy, distillation, loss_by_numpy
from policy_sequences import TAU, first_params
from scipy.special import softmax
from torch import nn
from training_steps import step_of

from policies import POLICIES
from policies.base import Softening
from policies.meta_kd import MetaLearned, meta_gradient
from tune_kd.config.catalogue import make_policy
from tune_kd.losses import softened_kl

SHAPES = [(3, 4), (3, 2, 4)]


def example(shape: tuple[int, ...]) -> tuple[Array, Array, np.ndarray]:
    """Student's and teacher's logits, and labels."""
    generator = np.random.default_rng(3)
    student, teacher = generator.normal(size=shape), 3 * generator.normal(size=shape)
    return student, teacher, generator.integers(shape[-1], size=shape[:-1])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("label", sorted({*POLICIES, *VARIANTS}))
def test_loss_and_gradient_are_those_of_every_softmax(label: str, shape: tuple[int, ...]) -> None:
    policy = make_policy(label)
    temperature = policy.temperature(first_params(policy, TAU), seed=7).double()
    if isinstance(temperature, MetaLearned):
        temperature.every = 2  # batch 1 learns nothing
    temperature.begin_epoch(0, 20, 10)
    student, teacher, labels = example(shape)
    student[..., 0], teacher[..., 0] = abs(student[..., 0]) + 0.5, abs(teacher[..., 0]) + 0.5  # maxima are positive
    logits = torch.tensor(student, requires_grad=True)
    step = step_of(logits, torch.tensor(teacher), torch.tensor(labels), number=1, alpha=ALPHA)
    loss, tau = temperature.loss(step)
    own = np.array(4.0) if tau is None else tau.detach().numpy()
    (gradient,) = torch.autograd.grad(loss, [logits])

    def expected(at: Array) -> float:
        return loss_by_numpy(label, at, teacher, labels, own)

    assert own.ndim in (0, len(shape))
    assert loss.item() == pytest.approx(expected(student), rel=1e-6)  # τ is a float32
    np.testing.assert_allclose(gradient.numpy(), slope(expected, student), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("weight", [(), (3, 1, 1), (3, 2, 1)], ids=str)
def test_a_softening_is_common_to_all_to_a_sample_or_an_anchors_own(weight: tuple[int, ...]) -> None:
    student, teacher, _ = example((3, 2, 4))
    factor = np.random.default_rng(4).uniform(1, 5, weight)
    found = softened_kl(
        torch.tensor(student), torch.tensor(teacher), Softening(*(torch.tensor(factor * (i + 1)) for i in range(3)))
    )
    each = np.broadcast_to(factor, (3, 2, 1))
    expected = [
        [distillation(student[i, a], teacher[i, a], (each[i, a], 2 * each[i, a], 3 * each[i, a])) for a in range(2)]
        for i in range(3)
    ]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_one_sample_of_a_batch_has_its_own_temperature_for_all_of_its_anchors() -> None:
    temperature = make_policy("stochastic-per-sample").temperature({}, seed=7)
    temperature.begin_epoch(0, 1, 1)
    many = temperature(0, torch.zeros(5, 3, 4), torch.zeros(5, 3, 4))
    one = temperature(0, torch.zeros(5, 4), torch.zeros(5, 4))
    assert many.tau_student.shape == (5, 1, 1)
    assert torch.equal(many.tau_student.flatten(), one.tau_student.flatten())


class Linear(nn.Module):
    """Rows of pixels to logits of 2 anchors and 4 classes."""

    def __init__(self, weights: Array) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.flatten(1) @ self.weight).unflatten(1, (2, 4))


def looked_ahead(weights: Array, images: Array, teacher: Array, labels: np.ndarray, log_taus: Array) -> Array:
    """The weights of :class:`Linear` after one step of 0.1 on the scenario's loss, by the gradient's formula."""
    tau_s, tau_t = np.exp(log_taus)
    student = (images @ weights).reshape(teacher.shape)
    softened = tau_s * tau_t / tau_s * (softmax(student / tau_s, -1) - softmax(teacher / tau_t, -1))
    of_logits = ALPHA * softened + (1 - ALPHA) * (softmax(student, -1) - np.eye(4)[labels])
    moved: Array = weights - 0.1 * images.T @ (of_logits / labels.size).reshape(len(images), -1)
    return moved


def test_meta_kd_looks_ahead_over_anchors() -> None:
    generator = np.random.default_rng(5)
    images, held_out, weights = (generator.normal(size=size) for size in ((3, 5), (6, 5), (5, 8)))
    _, teacher, labels = example((3, 2, 4))
    held_labels = generator.integers(4, size=(6, 2))
    student = Linear(weights)
    step = step_of(
        student(torch.tensor(images)),
        torch.tensor(teacher),
        torch.tensor(labels),
        alpha=ALPHA,
        student=student,
        images=torch.tensor(images),
    )
    at = np.log([3.0, 5.0])

    def held_out_loss(log_taus: Array) -> float:
        moved = looked_ahead(weights, images, teacher, labels, log_taus)
        return cross_entropy((held_out @ moved).reshape(6, 2, 4), held_labels)

    found = meta_gradient(step, torch.tensor(at), torch.tensor(held_out), torch.tensor(held_labels))
    np.testing.assert_allclose(found.numpy(), slope(held_out_loss, at), rtol=1e-5)
