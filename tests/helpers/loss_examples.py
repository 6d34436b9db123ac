"""Logits to try losses on: the project's reference example, and hypothesis's."""

from __future__ import annotations

import functools

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from policies.base import Softening, hinton
from tune_kd.config.scenario import Scenario, load_scenario
from tune_kd.tasks.classification import Classification
from tune_kd.training.step import Step

# Two samples, three classes, float64.
STUDENT = [[2.0, 0.5, -1.0], [0.0, 1.0, 3.0]]
TEACHER = [[4.0, 1.0, -2.0], [-1.0, 2.5, 1.5]]
LABELS = [0, 2]
ALPHA = 0.95
MAX_BATCH, MAX_CLASSES = 5, 7


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def common(tau: object) -> Softening:
    return hinton(double(tau))


def gradient(loss: Tensor, student: Tensor) -> Tensor:
    return torch.autograd.grad(loss, student)[0]


def centred(logits: Tensor) -> Tensor:
    return logits - logits.mean(dim=1, keepdim=True)


@st.composite
def logit_pairs(draw: st.DrawFn, largest: float = 6.0) -> tuple[Tensor, Tensor, Tensor]:
    """Student's and teacher's logits, float64 [B, n], and labels [B]."""
    batch, classes = draw(st.integers(1, MAX_BATCH)), draw(st.integers(2, MAX_CLASSES))
    values = arrays(np.float64, (batch, classes), elements=st.floats(-largest, largest, width=32))
    labels = draw(arrays(np.int64, (batch,), elements=st.integers(0, classes - 1)))
    return torch.from_numpy(draw(values)), torch.from_numpy(draw(values)), torch.from_numpy(labels)


taus = st.floats(0.5, 50)


@functools.cache
def scenario_with(loss: str, reduction: str) -> Scenario:
    return load_scenario("digits").changed({"loss": loss, "reduction": reduction})


def loss_of(
    name: str,
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    softening: Softening,
    alpha: float = 1.0,
    reduction: str = "batchmean",
) -> Tensor:
    """The loss ``name`` of a batch, by the step that trains with it."""
    step = Step(
        number=0,
        images=torch.empty(0),
        labels=labels,
        student=nn.Identity(),
        student_logits=student,
        teacher_logits=teacher,
        learning_rate=0.1,
        task=Classification(),
        scenario=scenario_with(name, reduction),
        alpha=alpha,
        held_out_batches=iter(()),
    )
    return step.loss(softening)
