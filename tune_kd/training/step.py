"""One epoch of distillation: the loss of each batch, the scenario's, or a policy's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from policies.base import HeldOut, Softening, Temperature
from tune_kd.config.scenario import Scenario
from tune_kd.data.batches import Batch
from tune_kd.losses import DISTILLATIONS, squared_distance, wide
from tune_kd.models import fast
from tune_kd.models.fast import Network
from tune_kd.tasks.base import Outputs, Task, with_rest
from tune_kd.training.phases import Phases, Share
from tune_kd.training.student import Student
from tune_kd.training.teacher_outputs import ask


@dataclass(kw_only=True)
class Step:
    """One batch in training: what :class:`policies.base.TrainingStep` promises to a policy."""

    number: int
    images: Tensor
    labels: Tensor
    student: nn.Module
    student_logits: Tensor
    teacher_logits: Tensor | None
    learning_rate: float
    task: Task
    scenario: Scenario
    alpha: float
    held_out_batches: Iterator[Batch]
    rest: tuple[Tensor, ...] = ()  # of the student's outputs: what the task alone reads

    def cross_entropy(self) -> Tensor:
        return self.task.hard_loss(self._outputs, self.labels)

    def hard_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.task.hard_loss(Outputs(logits), labels)

    def distillation(self, softening: Softening) -> Tensor:
        term = DISTILLATIONS.get(self.scenario.loss)
        if term is None:
            return self.student_logits.new_zeros(())
        if self.teacher_logits is None:
            raise ValueError("there is no distillation in an epoch that says it needs no teacher")
        mean = self.task.mean(self._outputs, self.labels)
        return term(self.student_logits, self.teacher_logits, softening, self.scenario.reduction, mean)

    def squared_distance(self, one: Tensor, other: Tensor) -> Tensor:
        return squared_distance(one, other, self.task.mean(self._outputs, self.labels))

    def loss(self, softening: Softening) -> Tensor:
        return self.alpha * self.distillation(softening) + (1 - self.alpha) * self.cross_entropy()

    def logits_at(self, weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
        # Batch norm in training writes to its statistics: to copies of them.
        buffers = {name: buffer.clone() for name, buffer in self.student.named_buffers()}

        def moved(given: Tensor) -> Tensor:
            said: Tensor = functional_call(self.student, {**weights, **buffers}, (given,))
            return said

        with fast.autocast(images.device, self.scenario.precision):
            return wide(self.task.outputs(moved, images).logits)

    def held_out(self) -> HeldOut:
        batch = next(self.held_out_batches)
        return HeldOut(batch.images, batch.labels)

    @property
    def _outputs(self) -> Outputs:
        return Outputs(self.student_logits, self.rest)


def asks_teacher(temperature: Temperature, scenario: Scenario) -> bool:
    """Is the teacher asked in the epoch that has begun? Not where neither loss nor temperature looks at its logits."""
    return temperature.needs_teacher and (temperature.reads_teacher or scenario.loss in DISTILLATIONS)


def ever_asks_teacher(temperature: Temperature, scenario: Scenario, steps: int) -> bool:
    """Is the teacher asked in some epoch of a trial, of ``steps`` batches each? The temperature is used up."""
    epochs = scenario.trial_epochs
    for epoch in range(epochs):
        temperature.begin_epoch(epoch, epochs, steps)
        if asks_teacher(temperature, scenario):
            return True
    return False


@dataclass(kw_only=True)
class Distillation:
    """The loss of an epoch's batches, and what the epoch's report wants to know of them."""

    student: Student
    task: Task
    teacher: Network | None  # None: none was trained, as nobody was to ask it
    phases: Phases | Share
    held_out: Iterator[Batch]
    shared_logits: Tensor | None = None  # [images, n], the teacher's of the whole epoch, where they are shared

    def __post_init__(self) -> None:
        self._scenario, self._temperature = self.student.spec.scenario, self.student.temperature
        self._taus: list[Tensor] = []

    def __call__(self, number: int, batch: Batch) -> Tensor:
        """The loss of batch ``number`` of the epoch, a scalar."""
        taught = self.taught(number, batch) if self.asks else None
        with fast.autocast(batch.images.device, self._scenario.precision):
            outputs = self.task.outputs(self.student.forward, batch.images)
        return self.loss(number, batch, outputs, taught)

    def loss(self, number: int, batch: Batch, outputs: Outputs, taught: Outputs | None) -> Tensor:
        """The loss of what the student says of a batch, ``outputs``, and the teacher, ``taught``; a scalar."""
        step = Step(
            number=number,
            images=batch.images,
            labels=batch.labels,
            student=self.student.network,
            student_logits=wide(outputs.logits),
            teacher_logits=None if taught is None else taught.logits,
            learning_rate=self.student.learning_rate(),
            task=self.task,
            scenario=self._scenario,
            alpha=self.student.spec.alpha,
            held_out_batches=self.held_out,
            rest=outputs.rest,
        )
        loss, tau = self._temperature.loss(step)
        if tau is not None:
            self._taus.append(tau.detach().reshape(-1))
        return with_rest(loss, self.task.rest_loss(outputs, batch, taught))

    @property
    def asks(self) -> bool:
        """Is the teacher asked in this epoch?"""
        return asks_teacher(self._temperature, self._scenario)

    def taus(self) -> Tensor:
        """Every τ of the student in this epoch, in order; none where the objective used none."""
        return torch.cat(self._taus) if self._taus else torch.empty(0)

    def taught(self, number: int, batch: Batch) -> Outputs:
        """What the teacher says of a batch; where its logits are shared, those alone."""
        if self.shared_logits is not None:
            start = number * self._scenario.recipe.batch_size
            logits = self.shared_logits[start : start + len(batch.index)]
            return Outputs(logits.to(batch.images.device, non_blocking=True))
        if self.teacher is None:
            raise ValueError("the teacher is asked in this trial, but not in one at the lowest τ: none was trained")
        with self.phases.within_step("teacher"):
            return ask(self.task, self.teacher, batch.images, self._scenario.precision)
