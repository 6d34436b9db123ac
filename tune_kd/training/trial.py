"""One trial from start to end: a student trained under a policy, as a generator of epoch reports. No Ray in it."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from policies import Policy
from policies.base import Temperature
from tune_kd.config.scenario import Scenario
from tune_kd.config.seeds import epoch_seed, trial_seed
from tune_kd.data import ImageData, split
from tune_kd.data.batches import DeviceImages, steps_per_epoch
from tune_kd.events import EpochReport, from_json, to_json, utc_now
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.energy import Meter
from tune_kd.models import fast
from tune_kd.storage import checkpoints
from tune_kd.training import loop, phases
from tune_kd.training.costs import Costs, NetworkFlops, Passed, build
from tune_kd.training.peak_memory import peak_memory_bytes, reset_peak_memory
from tune_kd.training.step import Distillation, asks_teacher
from tune_kd.training.teacher_outputs import MAPPED_FROM_BYTES, TeacherOutputs


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """What makes a trial: with the data and the teacher this repeats it."""

    run_id: str
    trial_id: str
    index: int
    replicate_seed: int
    scenario: Scenario
    policy: Policy
    params: Mapping[str, float]
    attempt: int = 0
    reported: int | None = None  # the last epoch that the driver has heard of; None: every one but the very last

    @property
    def seed(self) -> int:
        """Of the initial weights and the τ draws."""
        return trial_seed(self.replicate_seed, self.index)

    @property
    def alpha(self) -> float:
        """The weight of the distillation term: the trial's own, where α is searched, else the scenario's."""
        return self.params.get("alpha", self.scenario.distillation_weight)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a trial runs and what measures it there."""

    device: torch.device
    meter: Meter
    carbon: Carbon
    node_id: str
    checkpoint: Path | checkpoints.Slot | None = None  # None: a trial that is not meant to be resumed or tested


class Trial:
    """A student, its optimizer and its temperature, from the first epoch or from a checkpoint."""

    def __init__(
        self,
        spec: TrialSpec,
        data: ImageData,
        teacher: nn.Module | None,
        place: Place,
        counted: NetworkFlops | None = None,
        shared_outputs: TeacherOutputs | None = None,
    ) -> None:
        self.started = time.perf_counter()
        reset_peak_memory(place.device)
        self.spec, self.data, self.place = spec, data, place
        self.recipe, device = spec.scenario.recipe, place.device
        torch.manual_seed(spec.seed)
        self.student = fast.for_training(build(spec.scenario.student, data), device)
        self.teacher = None if teacher is None else fast.for_inference(teacher, device)
        self.temperature: Temperature = spec.policy.temperature(spec.params, spec.seed).to(device)
        compiled = spec.scenario.compile
        # What holds images out looks ahead through the student's gradient, which a compiled network does not have.
        self.student_pass = fast.through(self.student, compiled=compiled and not self.temperature.held_out)
        self.teacher_pass = None if self.teacher is None else fast.through(self.teacher, compiled=compiled)
        train, held_out = split.hold_out(data.train, self.temperature.held_out, spec.replicate_seed)
        self.train_images, self.held_out_images = DeviceImages(train, device), DeviceImages(held_out, device)
        self.validation_images = DeviceImages(data.validation, device)
        self.steps = steps_per_epoch(len(self.train_images), self.recipe.batch_size)
        learned = (parameter for parameter in self.temperature.parameters() if parameter.requires_grad)
        self.optimizer = loop.optimizer(self.recipe, [*self.student.parameters(), *learned])
        self.schedule = loop.schedule(self.recipe, self.optimizer, self.steps)
        # What is held out changes the batches: such a trial asks the teacher itself.
        self.shared_outputs = None if self.temperature.held_out else shared_outputs
        self.shared_logits: Tensor | None = None  # the teacher's of the epoch under way
        self.phases = phases.Phases(device)
        self.costs = Costs(counted or NetworkFlops.count(spec.scenario, data))
        self.epoch = 0  # epochs done
        self.passed = Passed()  # in the last of them
        self.chosen = Chosen(rule=spec.scenario.checkpoint)
        self.last: EpochReport | None = None
        self._resume()

    def fit(self) -> Iterator[EpochReport]:
        """Train to the end; one report an epoch, yielded after its checkpoint is written.

        A report that was lost between its checkpoint and the driver comes again. Where the driver has heard of the
        very last epoch, nothing is left to train or to say.
        """
        unheard = self.spec.reported is not None and self.epoch > self.spec.reported
        if self.last is not None and (unheard or (self.spec.reported is None and self.epoch == self.recipe.epochs)):
            if unheard:
                self.costs.add(self.passed)
            yield dataclasses.replace(self.last, attempt=self.spec.attempt, at=utc_now(), **self._spent())
        while self.epoch < self.recipe.epochs:
            lr = self._learning_rate()
            distillation = self._distillation()
            with self.phases.phase("train"):
                train_loss = self._train(distillation)
            with self.phases.phase("eval"):
                validation = loop.evaluate(
                    self.student, self.validation_images, self.data, self.spec.scenario.precision
                )
            self.epoch += 1
            self.passed = self._passed()
            self.costs.add(self.passed)
            self.chosen.offer(self.epoch, validation, self.student)
            diverged = self._diverged_epoch(train_loss, validation)
            self.last = self._report(lr, train_loss, validation, distillation.taus(), diverged)
            self.temperature.observe(vars(self.last))
            self._save()
            yield self.last

    def _learning_rate(self) -> float:
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    def _distillation(self) -> Distillation:
        """What gives the losses of the next epoch."""
        self.temperature.begin_epoch(self.epoch, self.recipe.epochs, self.steps)
        self.shared_logits = self._read_shared_logits()
        return Distillation(
            student=self.student,
            student_pass=self.student_pass,
            teacher=self.teacher_pass,
            temperature=self.temperature,
            scenario=self.spec.scenario,
            alpha=self.spec.alpha,
            phases=self.phases,
            learning_rate=self._learning_rate,
            held_out=loop.held_out_batches(
                self.held_out_images, self.data, self.recipe, seed=self.spec.replicate_seed, epoch=self.epoch
            ),
            shared_logits=self.shared_logits,
        )

    def _read_shared_logits(self) -> Tensor | None:
        if self.shared_outputs is None or not asks_teacher(self.temperature, self.spec.scenario):
            return None
        logits = self.shared_outputs.read(self.epoch)
        if logits is None or logits.nbytes >= MAPPED_FROM_BYTES:
            return logits
        return logits.to(self.place.device)

    def _train(self, distillation: Distillation) -> float:
        torch.manual_seed(epoch_seed(self.spec.seed, self.epoch))
        batches = loop.training_batches(
            self.train_images, self.data, self.recipe, seed=self.spec.replicate_seed, epoch=self.epoch
        )
        return loop.train_epoch(self.student, batches, self.optimizer, self.schedule, distillation)

    def _passed(self) -> Passed:
        trained = loop.trained_images(self.train_images, self.recipe)
        taught = trained if asks_teacher(self.temperature, self.spec.scenario) else 0
        asked = taught if self.shared_logits is None else 0
        return Passed(trained, taught, asked, len(self.validation_images), *self.temperature.extra_passes)

    def _diverged_epoch(self, train_loss: float, validation: loop.Evaluation) -> int | None:
        """The first epoch so far whose loss, outputs or weights were not finite."""
        if self.last is not None and self.last.diverged_epoch is not None:
            return self.last.diverged_epoch
        finite = math.isfinite(train_loss) and validation.finite and not loop.not_finite(self.student.state_dict())
        return None if finite else self.epoch

    def _report(
        self, lr: float, train_loss: float, validation: loop.Evaluation, taus: Tensor, diverged: int | None
    ) -> EpochReport:
        return EpochReport(
            run_id=self.spec.run_id,
            trial_id=self.spec.trial_id,
            attempt=self.spec.attempt,
            at=utc_now(),
            epoch=self.epoch,
            train_loss=train_loss,
            val_loss=validation.loss,
            val_accuracy=validation.accuracy,
            checkpoint_epoch=self.chosen.epoch,
            checkpoint_val_accuracy=self.chosen.accuracy,
            checkpoint_val_loss=self.chosen.loss,
            diverged_epoch=diverged,
            lr=lr,
            tau_mean=taus.mean().item() if len(taus) else None,
            tau_min=taus.min().item() if len(taus) else None,
            tau_max=taus.max().item() if len(taus) else None,
            policy_parameters=sum(parameter.numel() for parameter in self.temperature.parameters()),
            **self._spent(),
        )

    def _spent(self) -> dict[str, Any]:
        """What this attempt has cost so far, as columns of its report."""
        energy = self.place.meter.mark()
        seconds, duration_s = self.phases.seconds, time.perf_counter() - self.started
        return {
            "node_id": self.place.node_id,
            "energy_j": energy.total_j,
            "energy_cpu_j": energy.cpu_j,
            "energy_gpu_j": energy.gpu_j,
            "energy_ram_j": energy.ram_j,
            "energy_idle_j": energy.idle_j,
            "energy_method": energy.method,
            "co2e_g": self.place.carbon.co2e_g(energy.total_j),
            **self.costs.columns(),
            "duration_s": duration_s,
            "train_s": seconds["train"],
            "eval_s": seconds["eval"],
            "teacher_s": seconds["teacher"],
            "other_s": duration_s - seconds["train"] - seconds["eval"],
            "peak_memory_bytes": peak_memory_bytes(self.place.device),
            "co_tenants": self.place.meter.co_tenants,
        }

    def _save(self) -> None:
        if self.place.checkpoint is None:
            return
        state = {name: getattr(self, name).state_dict() for name in STATEFUL}
        report = to_json(self.last) if self.last else None
        checkpoints.save(
            self.place.checkpoint, {**state, "epoch": self.epoch, "report": report, "passed": tuple(self.passed)}
        )

    def _resume(self) -> None:
        state = self.place.checkpoint and checkpoints.load(self.place.checkpoint, self.place.device)
        if not state:
            return
        for name in STATEFUL:
            getattr(self, name).load_state_dict(state[name])
        self.epoch, self.passed = state["epoch"], Passed(*state["passed"])
        self.last = cast(EpochReport, from_json(state["report"]))


STATEFUL = ("student", "optimizer", "schedule", "temperature", "chosen")


class Chosen:
    """The epoch whose weights a trial hands in: the last, or the best by validation (the earliest of equals)."""

    def __init__(self, *, rule: str) -> None:
        self.rule, self.epoch = rule, 0
        self.accuracy, self.loss = -math.inf, math.inf
        self._weights: dict[str, Tensor] = {}

    def offer(self, epoch: int, validation: loop.Evaluation, student: nn.Module) -> None:
        """Consider the weights after ``epoch``."""
        if self.rule == "last" or validation.accuracy > self.accuracy:
            self.epoch, self.accuracy, self.loss = epoch, validation.accuracy, validation.loss
            self._weights = {name: tensor.detach().clone() for name, tensor in student.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "accuracy": self.accuracy, "loss": self.loss, "weights": self._weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch, self.accuracy, self.loss = state["epoch"], state["accuracy"], state["loss"]
        self._weights = state["weights"]
