"""One trial from start to end: a student trained under a policy, as a generator of epoch reports. No Ray in it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from tune_kd.budget.cost import Cost
from tune_kd.config.seeds import torch_seed
from tune_kd.data.batches import Batch, steps_per_epoch
from tune_kd.events import EpochReport, from_json, to_json, utc_now
from tune_kd.meter.base import Meter
from tune_kd.meter.carbon import Carbon
from tune_kd.models import fast
from tune_kd.models.fast import Network
from tune_kd.storage import checkpoints
from tune_kd.synthesis.growing import GrowingPool
from tune_kd.tasks.base import Data, Evaluation, Part
from tune_kd.tasks.catalogue import task_of
from tune_kd.training import loop
from tune_kd.training.costs import Costs, NetworkFlops, Passed
from tune_kd.training.peak_memory import peak_memory_bytes, reset_peak_memory
from tune_kd.training.phases import ALONE, Phases, Share, Turn
from tune_kd.training.step import Distillation, asks_teacher
from tune_kd.training.student import Student, TrialSpec
from tune_kd.training.teacher_outputs import MAPPED_FROM_BYTES, TeacherOutputs


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a trial runs and what measures it there."""

    device: torch.device
    meter: Meter
    carbon: Carbon
    node_id: str
    checkpoint: Path | checkpoints.Slot | None = None  # None: a trial that is not meant to be resumed or tested


class Trial:
    """The loop that trains a student, from the first epoch or from a checkpoint."""

    def __init__(
        self,
        spec: TrialSpec,
        data: Data,
        teacher: nn.Module | None,
        place: Place,
        counted: NetworkFlops | None = None,
        shared_outputs: TeacherOutputs | None = None,
        synthesis: Cost | None = None,
        growing: GrowingPool | None = None,
        *,
        phases: Phases | Share | None = None,
        beside: Trial | None = None,
    ) -> None:
        """``synthesis`` is what it cost this attempt to make the images of ``data``; None: others have made them.

        Where a pool is ``growing``, its images are trained on, and ``data`` have none. ``phases`` is the trial's clock,
        by default one that starts here. What is the same for all trials of a run, images and teacher, is taken from the
        trial ``beside`` it, where there is one.
        """
        self.synthesis, self.growing = synthesis or Cost(), growing
        self.phases = phases or Phases(place.device, before_s=self.synthesis.duration_s)
        reset_peak_memory(place.device)
        self.spec, self.data, self.place = spec, data, place
        self.task, self.recipe, device = task_of(spec.scenario), spec.scenario.recipe, place.device
        self.student = Student(spec, self.task, data, device)
        self.teacher: Network | None = self._frozen(teacher) if beside is None else beside.teacher
        share = self.student.temperature.held_out
        self.train_part, self.held_out_part, self.validation_part = beside.parts if beside else self._parts(share)
        count = len(self.train_part) if growing is None else growing.size
        self.steps = steps_per_epoch(count, self.recipe.batch_size)
        self.student.optimize(self.steps)
        # What is held out changes the batches: such a trial asks the teacher itself.
        self.shared_outputs = None if share else shared_outputs
        self.shared_logits: Tensor | None = None  # the teacher's of the epoch under way
        self.costs = Costs(counted or NetworkFlops.count(spec.scenario, data), self.synthesis.flops)
        self.epoch, self.epochs = 0, spec.scenario.trial_epochs  # done, and in all
        self.passed = Passed()  # in the last of them
        self.last: EpochReport | None = None
        self._resume()

    def _frozen(self, teacher: nn.Module | None) -> Network | None:
        if teacher is None:
            return None
        frozen = fast.for_inference(teacher, self.place.device)
        return fast.through(frozen, compiled=self.spec.scenario.compile)

    def _parts(self, held_out: float) -> tuple[Part, Part, Part]:
        train, rest = self.task.hold_out(self.data.train, held_out, self.spec.replicate_seed)
        of_trial, held, validation = (
            self.task.on_device(part, self.place.device) for part in (train, rest, self.data.validation)
        )
        return of_trial, held, validation

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """The images on the device: those that are trained on, that are held out, and that are validated on."""
        return self.train_part, self.held_out_part, self.validation_part

    def fit(self) -> Iterator[EpochReport]:
        """Train to the end; one report an epoch, yielded after its checkpoint is written.

        After a crash, an epoch that was saved but not reported is reported again. If the last epoch was reported,
        nothing is yielded.
        """
        if (unreported := self.unreported()) is not None:
            yield unreported
        while not self.over:
            distillation = self.begin_epoch()
            with self.phases.phase("train"):
                train_loss = self.train(distillation)
            with self.phases.phase("eval"):
                validation = self.validate()
            yield self.end_epoch(train_loss, validation, distillation)

    @property
    def over(self) -> bool:
        """Are all epochs trained?"""
        return self.epoch >= self.epochs

    def begin_epoch(self, first: Trial | None = None) -> Distillation:
        """Be ready for the next epoch; what gives its losses.

        ``first`` is the trial beside this one that has read the teacher's logits of the epoch.
        """
        if self.growing is not None:
            self._grow(self.growing)
        self.student.begin_epoch(self.epoch)
        self.lr = self.student.learning_rate()
        return self._distillation(first)

    def validate(self) -> Evaluation:
        """Validate the student as it is now."""
        network, precision = self.student.evaluated(), self.spec.scenario.precision
        return self.task.evaluate(network, self.validation_part, self.data, precision)

    def end_epoch(
        self, train_loss: float, validation: Evaluation, distillation: Distillation, turn: Turn = ALONE
    ) -> EpochReport:
        """Count, choose, report and save an epoch that has been trained and validated."""
        self.epoch += 1
        self.passed = self._passed(turn)
        self.costs.add(self.passed)
        self.student.chosen.offer(self.epoch, validation, self.student.network)
        diverged = self._diverged_epoch(train_loss, validation)
        self.last = self._report(self.lr, train_loss, validation, distillation.taus(), diverged)
        self.student.temperature.observe(vars(self.last))
        self._save()
        return self.last

    def _grow(self, pool: GrowingPool) -> None:
        """Synthesise what the next epoch is trained on."""
        self.synthesis += pool.grow(self.epoch, self.student.network)
        self.costs.synthesis = self.synthesis.flops
        self.train_part = self.task.on_device(pool.images(), self.place.device)

    def unreported(self) -> EpochReport | None:
        """The report of the checkpoint's epoch, if the driver has not received it."""
        if self.last is None:
            return None
        if self.spec.reported is None:  # not known: all but the very last epoch's
            due = self.epoch == self.epochs
        elif due := self.epoch > self.spec.reported:
            self.costs.add(self.passed)
        return dataclasses.replace(self.last, attempt=self.spec.attempt, at=utc_now(), **self._spent()) if due else None

    def _distillation(self, first: Trial | None) -> Distillation:
        """What gives the losses of the next epoch."""
        self.student.temperature.begin_epoch(self.epoch, self.epochs, self.steps)
        self.shared_logits = self._read_shared_logits() if first is None else first.shared_logits
        held_out = self.task.held_out_batches(
            self.held_out_part, self.data, self.recipe, seed=self.spec.replicate_seed, epoch=self.epoch
        )
        return Distillation(
            student=self.student,
            task=self.task,
            teacher=self.teacher,
            phases=self.phases,
            held_out=held_out,
            shared_logits=self.shared_logits,
        )

    def _read_shared_logits(self) -> Tensor | None:
        if self.shared_outputs is None or not self._asks_teacher():
            return None
        logits = self.shared_outputs.read(self.epoch)
        if logits is None or logits.nbytes >= MAPPED_FROM_BYTES:
            return logits
        return logits.to(self.place.device)

    def _asks_teacher(self) -> bool:
        return asks_teacher(self.student.temperature, self.spec.scenario)

    def train(self, distillation: Distillation) -> float:
        """Train the student for the epoch that has begun; the mean loss."""
        torch.manual_seed(torch_seed(self.spec.seed, self.epoch))
        student = self.student
        return loop.train_epoch(
            student.network, self.batches(), student.optimizer, student.schedule, distillation
        ).item()

    def batches(self) -> Iterator[Batch]:
        """Those of the epoch that has begun."""
        return self.task.batches(
            self.train_part, self.data, self.recipe, seed=self.spec.replicate_seed, epoch=self.epoch
        )

    def _passed(self, turn: Turn) -> Passed:
        trained = loop.trained_images(self.train_part, self.recipe)
        taught = trained if self._asks_teacher() else 0
        asked = turn.share(taught) if self.shared_logits is None else 0
        return Passed(trained, taught, asked, len(self.validation_part), *self.student.temperature.extra_passes)

    def _diverged_epoch(self, train_loss: float, validation: Evaluation) -> int | None:
        """The first epoch so far whose loss, outputs or weights were not finite."""
        if self.last is not None and self.last.diverged_epoch is not None:
            return self.last.diverged_epoch
        finite = math.isfinite(train_loss) and validation.finite and self.student.is_finite()
        return None if finite else self.epoch

    def _report(
        self, lr: float, train_loss: float, validation: Evaluation, taus: Tensor, diverged: int | None
    ) -> EpochReport:
        chosen, temperature = self.student.chosen, self.student.temperature
        return EpochReport(
            run_id=self.spec.run_id,
            trial_id=self.spec.trial_id,
            attempt=self.spec.attempt,
            at=utc_now(),
            epoch=self.epoch,
            train_loss=train_loss,
            val_loss=validation.loss,
            val_score=validation.score,
            checkpoint_epoch=chosen.epoch,
            checkpoint_val_score=chosen.score,
            checkpoint_val_loss=chosen.loss,
            diverged_epoch=diverged,
            lr=lr,
            tau_mean=taus.mean().item() if len(taus) else None,
            tau_min=taus.min().item() if len(taus) else None,
            tau_max=taus.max().item() if len(taus) else None,
            policy_parameters=sum(parameter.numel() for parameter in temperature.parameters()),
            **self._spent(),
        )

    def _spent(self) -> dict[str, Any]:
        """What this attempt has cost so far, as columns of its report."""
        energy = self.place.meter.mark()
        seconds, duration_s = self.phases.seconds, self.phases.duration_s
        synthesis_s = self.synthesis.duration_s
        return {
            "node_id": self.place.node_id,
            **energy.columns(),
            "co2e_g": self.place.carbon.co2e_g(energy.total_j),
            **self.costs.columns(),
            "duration_s": duration_s,
            "train_s": seconds["train"],
            "eval_s": seconds["eval"],
            "teacher_s": seconds["teacher"],
            "synthesis_s": synthesis_s,
            "other_s": duration_s - seconds["train"] - seconds["eval"] - synthesis_s,
            "peak_memory_bytes": peak_memory_bytes(self.place.device),
            "co_tenants": self.place.meter.co_tenants,
            **self.place.meter.pace.columns(),
        }

    def _save(self) -> None:
        if self.place.checkpoint is None:
            return
        report = to_json(self.last) if self.last else None
        state = {**self.student.state_dict(), "epoch": self.epoch, "report": report, "passed": tuple(self.passed)}
        checkpoints.save(self.place.checkpoint, state)

    def _resume(self) -> None:
        state = self.place.checkpoint and checkpoints.load(self.place.checkpoint, self.place.device)
        if not state:
            return
        self.student.load_state_dict(state)
        self.epoch, self.passed = state["epoch"], Passed(*state["passed"])
        self.last = cast(EpochReport, from_json(state["report"]))
