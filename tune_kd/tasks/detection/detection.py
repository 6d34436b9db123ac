"""Object detection: a softmax and a box for each default box of an image, judged by mAP as PASCAL VOC defines it.

α weighs the cross-entropy of mined boxes against the distillation of the same boxes' softmaxes, or of others that the
scenario names. The distance of boxes to their objects is added with weight 1 to the loss of every policy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tune_kd.config.scenario import Scenario
from tune_kd.config.training import Recipe
from tune_kd.data.batches import Batch
from tune_kd.data.detection import NAMES, DetectionData, DetectionLoading, DetectionSet, Objects, load
from tune_kd.data.detection.batches import DeviceDetections, epoch_batches, eval_batches
from tune_kd.data.detection.split import hold_out
from tune_kd.errors import InputError
from tune_kd.losses import Mean
from tune_kd.models import detectors
from tune_kd.models.fast import Network, autocast
from tune_kd.storage.data_root import official_root
from tune_kd.tasks.base import Evaluation, Outputs
from tune_kd.tasks.detection.average_precision import curves
from tune_kd.tasks.detection.detections import Detections, Truth, detect, truth
from tune_kd.tasks.detection.examples import examples
from tune_kd.tasks.detection.losses import bounded_box_loss, box_loss, class_loss, mean_over, positives
from tune_kd.tasks.detection.matching import match
from tune_kd.tasks.detection.scores import figures_of_test, mean_average_precision

EVAL_BATCH = 32
MOST_SHARED = 1_000
"""Default boxes of an image up to which trials share the teacher's logits.

At VOC's 21 classes that are 84 kB an image and epoch. The 8,732 boxes of SSD300 are 12 GB for each epoch of VOC.
"""
AUGMENTED = ("flip", "crop_padding", "rotation_degrees")
"""Fields of a recipe that move an image without its boxes."""


class Predictions(NamedTuple):
    """What was found in a part of the data, and what is there."""

    found: Detections
    there: Truth


class Detection:
    """The task of :class:`tune_kd.tasks.base.Task` with images in which objects have boxes."""

    name = "detection"
    metric = "mAP"
    anchors = True
    data_names: tuple[str, ...] = NAMES

    def __init__(self, scenario: Scenario | None = None) -> None:
        self._bound = scenario

    @property
    def scenario(self) -> Scenario:
        """The scenario whose options count."""
        if self._bound is None:
            raise ValueError("the task detection has the options of a scenario: use Detection().of(scenario)")
        return self._bound

    @property
    def shares_teacher(self) -> bool:
        """Logits alone are shared, so not where the teacher's boxes are read, too; nor of a user's own detector."""
        boxes = detectors.most_boxes(self.scenario.student)
        return not self.scenario.bounded_regression and boxes is not None and boxes <= MOST_SHARED

    def of(self, scenario: Scenario) -> Detection:
        return Detection(scenario)

    def check(self, scenario: Scenario) -> None:
        for role in ("teacher", "student"):
            detectors.check(getattr(scenario, role), f"{role} model")
        for name, field in itertools.product(("recipe", "teacher_recipe"), AUGMENTED):
            if value := getattr(getattr(scenario, name), field):
                raise InputError(
                    f"{name}.{field} would move images without their boxes, so task 'detection' does not have it, got "
                    f"{str(value).lower()}; use augmentation = 'ssd' or 'ssdlite'"
                )

    def load(self, scenario: Scenario, cache: Path, data_root: str | Path | None = None) -> DetectionData:
        """Data sets with a name lie in ``data_root``, by default in the cache, or are downloaded to there."""
        given = scenario.normalisation
        wanted = DetectionLoading(
            source=scenario.data,
            image_size=scenario.image_size,
            validation_fraction=scenario.validation_fraction,
            split_seed=scenario.split_seed,
            train_limit=scenario.train_limit,
            test_limit=scenario.test_limit,
            skip_bad_images=scenario.skip_bad_images,
            normalisation=None if given is None else (given.mean, given.std),
            data_root=official_root(cache, data_root),
            cache=cache / "data",
        )
        return load(wanted)

    def for_trials(self, data: DetectionData) -> DetectionData:
        return replace(data, test=data.test.take(np.empty(0, dtype=np.int64)))

    def build(self, model: str, data: DetectionData) -> nn.Module:
        return detectors.build(model, **_sizes(data))

    def try_out(self, model: str, data: DetectionData) -> None:
        detectors.try_out(model, **_sizes(data))

    def pair(self, teacher: str, student: str, data: DetectionData) -> None:
        """Their default boxes must be equal."""
        detectors.pairs(teacher, student, **_sizes(data))

    def image_shape(self, data: DetectionData) -> tuple[int, int, int]:
        return detectors.CHANNELS, data.image_size, data.image_size

    def on_device(self, part: DetectionSet, device: torch.device) -> DeviceDetections:
        return DeviceDetections(part, device)

    def hold_out(self, part: DetectionSet, share: float, seed: int) -> tuple[DetectionSet, DetectionSet]:
        return hold_out(part, share, seed)

    def batches(
        self, part: DeviceDetections, data: DetectionData, recipe: Recipe, *, seed: int, epoch: int
    ) -> Iterator[Batch[Tensor]]:
        """Labels are the class that each default box is trained on, int64 [B, A]; the rest its place, [B, A, 4]."""
        found = epoch_batches(
            part,
            image_size=data.image_size,
            batch_size=recipe.batch_size,
            seed=seed,
            epoch=epoch,
            preset=self.scenario.augmentation,
            mean=data.mean,
            std=data.std,
        )
        yield from matched(found, self._boxes(data, part.device))

    def held_out_batches(
        self, part: DeviceDetections, data: DetectionData, recipe: Recipe, *, seed: int, epoch: int
    ) -> Iterator[Batch[Tensor]]:
        """In an order of its own for each (seed, epoch), round and round."""
        found = epoch_batches(
            part,
            image_size=data.image_size,
            batch_size=min(recipe.batch_size, len(part)),
            seed=seed,
            epoch=epoch,
            preset="none",
            mean=data.mean,
            std=data.std,
            endless=True,
        )
        yield from matched(found, self._boxes(data, part.device))

    def outputs(self, network: Network, images: Tensor) -> Outputs:
        """The rest are the box regressions, [B, A, 4]."""
        logits, *rest = network(images)
        return Outputs(logits, tuple(rest))

    def hard_loss(self, outputs: Outputs, labels: Tensor) -> Tensor:
        return class_loss(outputs.logits, labels)

    def rest_loss(self, outputs: Outputs, batch: Batch[Tensor], teacher: Outputs | None) -> Tensor:
        """The smooth L1 distance of boxes, and if the scenario says so, where the teacher is asked the bounded one."""
        (regressions,), (targets,) = outputs.rest, batch.rest
        loss = box_loss(regressions, targets, batch.labels)
        if teacher is None or not self.scenario.bounded_regression:
            return loss
        return loss + bounded_box_loss(regressions, teacher.rest[0], targets, batch.labels)

    def mean(self, outputs: Outputs, labels: Tensor) -> Mean:
        options = self.scenario
        return mean_over(options.distilled_boxes, outputs.logits, labels, options.background_weight)

    @torch.inference_mode()
    def evaluate(self, network: nn.Module, part: DeviceDetections, data: DetectionData, precision: str) -> Evaluation:
        """The loss is the task's own of the whole part: sums over its boxes by its number of positives."""
        network.eval()
        boxes, size = self._boxes(data, part.device), data.image_size
        found: list[Detections] = []
        there: list[Truth] = []
        losses, counts, finite = [], [], []
        for batch in eval_batches(part, image_size=size, batch_size=EVAL_BATCH, mean=data.mean, std=data.std):
            with autocast(batch.images.device, precision):
                logits, (regressions,) = self.outputs(network, batch.images)
            first = EVAL_BATCH * len(found)
            found.append(detect(logits, regressions, boxes, size, first))
            there.append(truth(batch.labels, first))
            classes, targets = match(batch.labels, boxes)
            counts.append(positives(classes))
            losses.append((class_loss(logits, classes) + box_loss(regressions, targets, classes)) * counts[-1])
            finite.append(logits.isfinite().all() & regressions.isfinite().all())
        predictions = Predictions(Detections(*_joined(found)), Truth(*_joined(there)))
        loss = (torch.stack(losses).sum() / torch.stack(counts).sum()).item()
        return Evaluation(
            loss=loss,
            score=mean_average_precision(curves(*predictions, len(data.classes))),
            finite=math.isfinite(loss) and bool(torch.stack(finite).all()),
            predictions=predictions,
        )

    def test_columns(self, predictions: Predictions, data: DetectionData) -> dict[str, Any]:
        """With them come a few images and what was found in them; their pictures, too, if the data set is public."""
        found = figures_of_test(curves(*predictions, len(data.classes)), data.classes)
        shown = examples(*predictions, data, pictures=self.scenario.data in NAMES)
        return {**found, "metrics": {**found["metrics"], "examples": shown}}

    def examples(self, data: DetectionData, *, pictures: bool) -> None:
        """They are with what was found in them, in the columns of the test."""

    def explained(self, network: nn.Module, data: DetectionData, device: torch.device) -> dict[str, Any]:
        """Nothing: the boxes say where a detector looks."""
        return {}

    def _boxes(self, data: DetectionData, device: torch.device) -> Tensor:
        """The student's default boxes, which are the teacher's, too."""
        return detectors.default_boxes(self.scenario.student, **_sizes(data)).to(device)


def matched(batches: Iterable[Batch[Objects]], boxes: Tensor) -> Iterator[Batch[Tensor]]:
    """Batches whose labels are objects, with what each of the default ``boxes``, [A, 4], is trained on instead."""
    for batch in batches:
        classes, regressions = match(batch.labels, boxes)
        yield Batch(batch.images, classes, batch.index, (regressions,))


def _joined(parts: Iterable[Iterable[np.ndarray]]) -> Iterator[np.ndarray]:
    """The arrays of all parts, kind by kind."""
    return map(np.concatenate, zip(*parts, strict=True))


def _sizes(data: DetectionData) -> dict[str, int]:
    """What a detector is made for: the background is a class more."""
    return {"classes": len(data.classes) + 1, "image_size": data.image_size}
