"""The engine's loop against the reference loop of the benchmarks, at the same recipe, in float32."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import reference_loop
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from policies import Policy
from policies.base import Constant, StepLoss, Temperature, TrainingStep
from tune_kd import models
from tune_kd.config.scenario import Scenario
from tune_kd.config.seeds import torch_seed
from tune_kd.config.training import Recipe
from tune_kd.data import ImageData, ImageSet
from tune_kd.meter.base import Meter
from tune_kd.meter.carbon import Carbon
from tune_kd.training.teacher import Teacher
from tune_kd.training.trial import Place, Trial, TrialSpec

MakeTrial = Callable[..., Trial]
TAU, ALPHA = 4.0, 0.9
STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Watched(Policy):
    """A constant τ, and a note of every step's loss."""

    name: ClassVar[str] = "watched"
    losses: list[float]

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Noting(self.losses)


class Noting(Constant):
    def __init__(self, losses: list[float]) -> None:
        super().__init__(TAU)
        self.losses = losses

    def loss(self, step: TrainingStep) -> StepLoss:
        result = super().loss(step)
        self.losses.append(result.loss.item())
        return result


def sgd(recipe: Recipe, model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=False
    )


def reference_losses(trial: Trial, teacher: nn.Module, steps: int) -> list[float]:
    """The reference loop's, from the trial's initial weights, on the trial's batches."""
    student = plain_student(trial)
    optimizer = sgd(trial.recipe, student)
    losses: list[float] = []
    for epoch in range(trial.recipe.epochs):
        seed = trial.spec.replicate_seed
        batches = trial.task.batches(trial.train_part, trial.data, trial.recipe, seed=seed, epoch=epoch)
        torch.manual_seed(torch_seed(trial.spec.seed, epoch))  # dropout
        plain = ((batch.images.contiguous(), batch.labels) for batch in batches)
        losses += reference_loop.train_epoch(student, teacher, plain, optimizer, tau=TAU, alpha=ALPHA)
    return losses[:steps]


def plain_student(trial: Trial) -> nn.Module:
    """A plain network with the initial weights of the trial's student."""
    data = trial.data
    student = models.build(
        trial.spec.scenario.student, classes=len(data.classes), channels=data.channels, image_size=data.image_size
    )
    student.load_state_dict(trial.student.network.state_dict())
    return student


AUGMENTED = {"recipe.flip": True, "recipe.crop_padding": 1, "recipe.rotation_degrees": 10.0}


def test_the_first_steps_have_the_losses_of_the_reference_loop(
    make_trial: MakeTrial, scenario: Scenario, digits: ImageData, teacher: Teacher
) -> None:
    losses: list[float] = []
    settings = {"alpha": ALPHA, "recipe.epochs": 4, "recipe.milestones": [], **AUGMENTED}
    trial = make_trial(Watched(losses=losses), settings=settings)
    expected = reference_losses(trial, teacher.network(scenario, digits), STEPS)
    list(trial.fit())
    assert losses[:STEPS] == pytest.approx(expected, abs=1e-4)


def colour_pictures(count: int) -> ImageSet:
    """Three classes, each brighter in a colour of its own, in noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = rng.integers(0, 120, (count, 3, 16, 16), np.uint8)
    images[np.arange(count), labels] += 100
    return ImageSet(images=images, labels=labels)


def test_the_same_holds_for_larger_networks_in_colour(scenario: Scenario, meter: Callable[..., Meter]) -> None:
    """Not for MobileNetV2: on few images its loss moves by 10⁻³ within 8 steps if the images change by 10⁻⁷."""
    part = colour_pictures(8 * STEPS)
    data = ImageData(name="colours", classes=("red", "green", "blue"), train=part, validation=part, test=part)
    settings = {"alpha": ALPHA, "recipe.epochs": 1, "recipe.batch_size": 8, "recipe.lr": 0.01, **AUGMENTED}
    what = scenario.changed({"teacher": "resnet18", "student": "wrn-16-1", **settings})
    torch.manual_seed(0)
    teacher = models.build("resnet18", classes=3, channels=3, image_size=16).eval().requires_grad_(False)
    losses: list[float] = []
    spec = TrialSpec(
        run_id="run",
        trial_id="run-0000",
        index=0,
        replicate_seed=1,
        scenario=what,
        policy=Watched(losses=losses),
        params={},
    )
    place = Place(
        device=torch.device("cpu"), meter=meter(), carbon=Carbon(intensity_g_per_kwh=1.0, source="test"), node_id="node"
    )
    trial = Trial(spec, data, teacher, place)
    expected = reference_losses(trial, teacher, STEPS)
    list(trial.fit())
    assert losses == pytest.approx(expected, abs=1e-4)


def accuracy_of_reference(scenario: Scenario, data: ImageData, teacher: nn.Module, seed: int) -> float:
    """On the validation set, after a training with an order of its own."""
    torch.manual_seed(seed)
    student = models.build(scenario.student, classes=10, channels=1, image_size=8)
    recipe = scenario.recipe
    optimizer = sgd(recipe, student)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(recipe.milestones), recipe.gamma)
    train, validation = (normalised(part, data) for part in (data.train, data.validation))
    batches = DataLoader(TensorDataset(*train), batch_size=recipe.batch_size, shuffle=True)
    for _ in range(recipe.epochs):
        reference_loop.train_epoch(student, teacher, batches, optimizer, tau=TAU, alpha=ALPHA)
        scheduler.step()
    return reference_loop.accuracy(student, *validation)


def normalised(part: ImageSet, data: ImageData) -> tuple[Tensor, Tensor]:
    images = torch.from_numpy(part.images).float() / 255
    return (images - data.mean[0]) / data.std[0], torch.from_numpy(part.labels)


def test_the_final_accuracy_is_that_of_the_reference_within_the_noise_of_five_seeds(
    make_trial: MakeTrial, scenario: Scenario, digits: ImageData, teacher: Teacher
) -> None:
    settings = {"alpha": ALPHA, "recipe.epochs": 8, "recipe.batch_size": 32, "recipe.milestones": [4, 6]}
    network = teacher.network(scenario, digits)
    ours = [
        [*make_trial(params={"tau": TAU}, index=seed, replicate_seed=seed, settings=settings).fit()][-1].val_score
        for seed in range(5)
    ]
    theirs = [accuracy_of_reference(scenario.changed(settings), digits, network, seed) for seed in range(5)]
    noise = ((statistics.variance(ours) + statistics.variance(theirs)) / 5) ** 0.5
    assert abs(statistics.mean(ours) - statistics.mean(theirs)) < 3 * noise
    assert min(statistics.mean(ours), statistics.mean(theirs)) > 0.5  # both have learned
