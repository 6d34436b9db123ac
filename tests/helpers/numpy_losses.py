"""The parts of published losses by numpy in float64, independent of torch and of the product; and an example."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor
from training_steps import step_of

from policies.base import Temperature

Array = NDArray[np.float64]

STUDENT: Array = np.array([[2.0, -1.0, 0.5, 0.3], [0.1, 0.9, -0.4, 0.2], [-1.5, 3.0, 2.5, -2.0]])
TEACHER: Array = np.array([[6.0, 1.0, -3.0, 0.5], [4.0, 3.5, 1.0, -5.0], [0.7, 2.0, 8.0, -1.0]])
LABELS = np.array([0, 1, 2])
ALPHA = 0.9


def kl(student: Array, teacher: Array, tau_student: Array | float, tau_teacher: Array | float) -> Array:
    """KL(q_t ‖ q_s) of each sample, [B]; logits are [B, n], temperatures [B, 1] or numbers."""
    log_student, log_teacher = log_softmax(student / tau_student, axis=1), log_softmax(teacher / tau_teacher, axis=1)
    found: Array = (np.exp(log_teacher) * (log_teacher - log_student)).sum(axis=1)
    return found


def cross_entropy(student: Array) -> float:
    """The mean on the example's labels."""
    return float(-log_softmax(student, axis=1)[np.arange(len(LABELS)), LABELS].mean())


def slope(loss: Callable[[Array], float], at: Array, width: float = 1e-5) -> Array:
    """The gradient of ``loss``, by central differences."""
    found = np.zeros_like(at)
    for index in np.ndindex(*at.shape):
        nudge = np.zeros_like(at)
        nudge[index] = width
        found[index] = (loss(at + nudge) - loss(at - nudge)) / (2 * width)
    return found


def loss_and_gradient(
    temperature: Temperature, student: Array = STUDENT, teacher: Array = TEACHER
) -> tuple[float, Array]:
    """What a temperature makes of the example, in an epoch that has begun: the loss and its gradient on z_s."""
    logits = torch.tensor(student, requires_grad=True)
    loss = temperature.loss(step_of(logits, torch.tensor(teacher), torch.tensor(LABELS), alpha=ALPHA)).loss
    (gradient,) = torch.autograd.grad(loss, [logits])
    return loss.item(), gradient.numpy()


def tensors(*arrays: Array) -> tuple[Tensor, ...]:
    return tuple(map(torch.tensor, arrays))
