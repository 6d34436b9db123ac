"""Every policy's loss and gradient over default boxes, [B, A, n], by numpy in float64: sums over boxes divided by N."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_losses import Array, slope
from numpy_policies import ALPHA, VARIANTS, loss_by_numpy
from policy_sequences import TAU, first_params
from scenes import scene
from scipy.special import log_softmax
from training_steps import step_of

from policies import POLICIES
from policies.meta_kd import MetaLearned
from tune_kd.config.catalogue import make_policy
from tune_kd.tasks.detection.matching import match

WEIGHT = 1.5  # of a box without an object
CHOICES = {"distilled_boxes": "mined", "background_weight": WEIGHT}


def mined_by_numpy(student: Array, classes: np.ndarray) -> np.ndarray:
    """Boxes of an object, and for each of them the three of its image that the student names background least."""
    chosen = classes > 0
    for image, positive in enumerate(classes > 0):
        doubt = np.where(positive, np.inf, log_softmax(student[image], -1)[:, 0])
        chosen[image, np.argsort(doubt)[: 3 * positive.sum()]] = True
    return chosen


@pytest.mark.parametrize("label", sorted({*POLICIES, *VARIANTS}))
def test_loss_and_gradient_are_those_of_the_mined_boxes(label: str) -> None:
    policy = make_policy(label)
    temperature = policy.temperature(first_params(policy, TAU), seed=7).double()
    if isinstance(temperature, MetaLearned):
        temperature.every = 2  # batch 1 learns nothing
    temperature.begin_epoch(0, 20, 10)
    there, boxes, said, _ = scene(1)
    classes = match(there, boxes).classes
    student, teacher, labels = said.numpy().copy(), 2 * scene(2).logits.numpy(), classes.numpy()
    student[..., 0], teacher[..., 0] = abs(student[..., 0]) + 0.5, abs(teacher[..., 0]) + 0.5  # maxima are positive
    chosen, count = mined_by_numpy(student, labels), (labels > 0).sum()
    assert count < chosen.sum() < chosen.size

    def soft_mean(each: Array) -> float:
        return float((np.where(labels > 0, 1, WEIGHT) * each)[chosen].sum() / count)

    def hard_mean(each: Array) -> float:
        return float(each[chosen].sum() / count)

    logits = torch.tensor(student, requires_grad=True)
    step = step_of(
        logits, torch.tensor(teacher), classes, number=1, alpha=ALPHA, settings=CHOICES, scenario="digit-scenes"
    )
    loss, tau = temperature.loss(step)
    own = np.array(4.0) if tau is None else tau.detach().numpy()
    (gradient,) = torch.autograd.grad(loss, [logits])

    def expected(at: Array) -> float:
        return loss_by_numpy(label, at, teacher, labels, own, soft_mean=soft_mean, hard_mean=hard_mean)

    assert own.ndim in (0, 3)
    assert loss.item() == pytest.approx(expected(student), rel=1e-6)  # τ is a float32
    assert not gradient.numpy()[~chosen].any()
    mined = np.argwhere(chosen & (labels == 0))[:1]
    for image, box in [*np.argwhere(labels > 0)[:2], *mined]:

        def of_box(values: Array, image: int = image, box: int = box) -> float:
            moved = student.copy()
            moved[image, box] = values
            return expected(moved)

        slopes = slope(of_box, student[image, box])
        np.testing.assert_allclose(gradient[image, box].numpy(), slopes, rtol=1e-4, atol=1e-7)
