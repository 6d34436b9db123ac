"""The loss of each policy by numpy in float64, over softmaxes of any shape [..., n], independent of the product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy_losses import Array
from scipy.special import log_softmax

ALPHA = 0.9
VARIANTS = (
    "annealing-kd:temperature_only",
    "dtkd:temperature_only",
    "logit-standardization:temperature_only",
    "normkd:temperature_only",
    "stochastic-per-sample:continuous=true",
)
# The weights of distillation and cross-entropy that a publication fixes; else the scenario's α.
PUBLISHED = {"normkd": (0.9, 0.1), "logit-standardization": (9.0, 1.0), "dtkd": (1.0, 1.0)}
DTKD_RAMP = 1 / 20  # in the first epoch
Mean = Callable[[Array], float]  # of a value of each softmax


def plain_mean(each: Array) -> float:
    return float(each.mean())


def cross_entropy(student: Array, labels: np.ndarray, mean: Mean = plain_mean) -> float:
    return mean(-np.take_along_axis(log_softmax(student, -1), labels[..., None], -1)[..., 0])


def distillation(student: Array, teacher: Array, taus: tuple[Array, Array, Array], mean: Mean = plain_mean) -> float:
    """The mean of weight·KL(q_t ‖ q_s)."""
    tau_student, tau_teacher, weight = taus
    log_student, log_teacher = log_softmax(student / tau_student, -1), log_softmax(teacher / tau_teacher, -1)
    kl = (np.exp(log_teacher) * (log_teacher - log_student)).sum(-1, keepdims=True)
    return mean((weight * kl)[..., 0])


def deviation(logits: Array) -> Array:
    found: Array = logits.std(-1, ddof=1, keepdims=True)
    return found


def taus_of(name: str, student: Array, teacher: Array, own: Array) -> tuple[Array, Array, Array]:
    """τ_s, τ_t and the weight by the method's formula; ``own`` is the τ that a policy drew or was given."""
    if name == "normkd":
        return 2 * deviation(student), 2 * deviation(teacher), (2 * deviation(teacher)) ** 2
    if name == "logit-standardization":
        return 2 * deviation(student), 2 * deviation(teacher), np.array(4.0)
    if name == "dtkd":
        highest = student.max(-1, keepdims=True), teacher.max(-1, keepdims=True)
        shares = [8 * one / (highest[0] + highest[1]) for one in highest]
        return shares[0], shares[1], shares[0] * shares[1]
    return own, own, own**2


def loss_by_numpy(
    label: str,
    student: Array,
    teacher: Array,
    labels: np.ndarray,
    own: Array,
    *,
    soft_mean: Mean = plain_mean,
    hard_mean: Mean = plain_mean,
) -> float:
    """The loss of the policy ``label``; ``own`` is the τ that it drew or was given."""
    name, alone, _ = label.partition(":temperature_only")
    name = name.partition(":")[0]
    hard = cross_entropy(student, labels, hard_mean)
    if name == "student":
        return hard
    if label == "annealing-kd":  # τ is at its maximum, 10
        return soft_mean(((student - (1 - 9 / 10) * teacher) ** 2).mean(-1))
    soft = distillation(student, teacher, taus_of(name, student, teacher, own), soft_mean)
    if alone or name not in PUBLISHED:
        return ALPHA * soft + (1 - ALPHA) * hard
    if name == "dtkd":
        four = np.array(4.0)
        soft = DTKD_RAMP * (3 * soft + distillation(student, teacher, (four, four, four**2), soft_mean))
    of_soft, of_hard = PUBLISHED[name]
    return of_soft * soft + of_hard * hard
