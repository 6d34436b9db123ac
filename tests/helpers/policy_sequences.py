"""What a policy suggests and how it softens, as sequences to be looked at; and a training step made by hand."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any

import torch
from ray.tune.search import Searcher
from torch import Tensor, nn
from torch.func import functional_call

from policies import POLICIES, Policy
from policies.base import StepLoss, Temperature
from search_spaces import SPACES, Dimension, Space
from tune_kd.config.scenario import Scenario, load_scenario
from tune_kd.data.batches import Batch
from tune_kd.tasks.classification import Classification
from tune_kd.training.step import Step

EPOCHS, STEPS = 4, 6
TAU = SPACES["tau"]
COARSE = Space(name="coarse", dimensions={"tau": Dimension(low=2, high=20, step=4)})  # 2, 6, 10, 14, 18
REAL = Space(name="real", dimensions={"tau": Dimension(low=0.5, high=8)})
SINGLE = Space(name="single", dimensions={"tau": Dimension(low=4, high=4, step=1)})

VARIANTS = (
    "annealing:shape=cosine",
    "annealing:shape=exponential",
    "annealing-kd:temperature_only",
    "dtkd:temperature_only",
    "logit-standardization:temperature_only",
    "normkd:temperature_only",
    "stochastic:continuous=true",
    "stochastic-around-best:continuous=true",
    "stochastic-per-epoch:continuous=true",
    "stochastic-per-sample:continuous=true",
)
LABELS = sorted({*POLICIES, *VARIANTS})


def suggestions(searcher: Searcher, count: int, accuracy: Any = None) -> list[dict[str, float]]:
    """What a searcher suggests when each trial ends before the next; ``accuracy`` of the parameters, by default ½."""
    found: list[dict[str, float]] = []
    for index in range(count):
        params = searcher.suggest(f"trial-{index}")
        if not isinstance(params, dict):
            break
        found.append(params)
        result = {"val_score": 0.5 if accuracy is None else accuracy(params), "training_iteration": 1}
        searcher.on_trial_complete(f"trial-{index}", result=result)
    return found


def first_params(policy: Policy, space: Space) -> dict[str, float]:
    return suggestions(policy.searcher(space, 0), 1)[0]


def epoch_taus(temperature: Temperature, epoch: int, *, epochs: int = EPOCHS, steps: int = STEPS) -> Tensor:
    """The student's τ of every batch of one epoch, where it does not depend on the logits."""
    temperature.begin_epoch(epoch, epochs, steps)
    logits = torch.zeros(2, 3)
    return torch.stack([temperature(step, logits, logits).tau_student for step in range(steps)])


def all_taus(temperature: Temperature, *, epochs: int = EPOCHS, steps: int = STEPS) -> Tensor:
    return torch.cat([epoch_taus(temperature, epoch, epochs=epochs, steps=steps) for epoch in range(epochs)])


@functools.cache
def scenario() -> Scenario:
    return load_scenario("digits")


def logits(batch: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """A student's and a more certain teacher's, [batch, classes] each."""
    student, teacher = torch.randn(2, batch, classes, generator=torch.Generator().manual_seed(seed))
    return student, 3 * teacher


def training_step(
    number: int,
    student_logits: Tensor,
    teacher_logits: Tensor | None,
    *,
    labels: Tensor | None = None,
    alpha: float = 0.9,
    learning_rate: float = 0.1,
) -> Step:
    """A step whose images are its student's logits: the pixels of an image, each times a weight that is 1."""
    device, (batch, classes) = student_logits.device, student_logits.shape
    student = Scaled(classes).to(device=device, dtype=student_logits.dtype)
    images = student_logits.reshape(batch, 1, 1, classes)
    labels = torch.arange(batch, device=device) % classes if labels is None else labels
    held_out = Batch(images.detach(), labels, torch.arange(batch, device=device))
    return HandMade(
        number=number,
        images=images,
        labels=labels,
        student=student,
        student_logits=student(images),
        teacher_logits=teacher_logits,
        learning_rate=learning_rate,
        task=Classification(),
        scenario=scenario(),
        alpha=alpha,
        held_out_batches=itertools.repeat(held_out),
    )


class HandMade(Step):
    """A step without mixed precision, which torch does not have for every device that a test is on."""

    def logits_at(self, weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """At other weights: all that the student has is weights."""
        logits: Tensor = functional_call(self.student, dict(weights), (images,))
        return logits


class Scaled(nn.Module):
    """Logits are the pixels, each times a weight that is 1."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(classes))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) * self.weight


def epoch_steps(temperature: Temperature, epoch: int, *, epochs: int = EPOCHS, steps: int = STEPS) -> list[StepLoss]:
    """The loss and τ of every batch of one epoch; the logits are a function of (epoch, step)."""
    temperature.begin_epoch(epoch, epochs, steps)
    found = []
    for number in range(steps):
        student, teacher = logits(5, 4, seed=1000 * epoch + number)
        step = training_step(number, student, teacher if temperature.needs_teacher else None)
        found.append(temperature.loss(step))
    return found


def all_steps(temperature: Temperature, *, steps: int = STEPS) -> list[StepLoss]:
    """The same of every epoch, with a report of each."""
    found = []
    for epoch in range(EPOCHS):
        found += epoch_steps(temperature, epoch, steps=steps)
        temperature.observe(report(epoch))
    return found


def report(epoch: int) -> dict[str, Any]:
    """What a temperature is told after ``epoch``, 0 being the first; the third has the best accuracy."""
    accuracy = (0.5, 0.7, 0.9, 0.8)[epoch]
    return {"epoch": epoch + 1, "val_score": accuracy, "val_loss": 1 - accuracy, "train_loss": 1 - accuracy}


def taus_of(found: list[StepLoss]) -> Tensor:
    """Every τ of the student, in order."""
    return torch.cat([torch.empty(0), *(step.tau.detach().reshape(-1) for step in found if step.tau is not None)])


def same(first: list[StepLoss], second: list[StepLoss]) -> bool:
    """Are losses and τ the same, bit for bit?"""
    losses = (torch.stack([step.loss.detach() for step in steps]) for steps in (first, second))
    return torch.equal(*losses) and torch.equal(taus_of(first), taus_of(second))
