"""Classification of images: one softmax over the classes for each image, judged by the fraction named rightly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tune_kd import models
from tune_kd.config.scenario import Scenario
from tune_kd.config.training import Recipe
from tune_kd.data import NAMES, ImageData, ImageSet, Loading, load, split
from tune_kd.data.batches import Augmentation, Batch, DeviceImages, epoch_batches, eval_batches
from tune_kd.losses import Mean, cross_entropy
from tune_kd.models.fast import Network, autocast
from tune_kd.storage.data_root import official_root
from tune_kd.tasks import class_examples
from tune_kd.tasks.base import Evaluation, Outputs
from tune_kd.tasks.calibration import calibration
from tune_kd.tasks.class_scores import class_scores

EVAL_BATCH = 512
NO_CLASS = -1  # the prediction of a network whose output is not finite


class Predictions(NamedTuple):
    """What a network answers to N images, on the CPU."""

    classes: Tensor  # int64 [N], :data:`NO_CLASS` where the output is not finite
    confidences: Tensor  # float32 [N]: how probable the answer is, NaN where the output is not finite


class Classification:
    """The task of :class:`tune_kd.tasks.base.Task` with images in classes."""

    name = "classification"
    metric = "accuracy"
    anchors = False
    data_names: tuple[str, ...] = NAMES
    shares_teacher = True

    def of(self, scenario: Scenario) -> Classification:
        return self

    def check(self, scenario: Scenario) -> None:
        for role in ("teacher", "student"):
            models.check(getattr(scenario, role), f"{role} model")

    def load(self, scenario: Scenario, cache: Path, data_root: str | Path | None = None) -> ImageData:
        """Data sets with a name lie in ``data_root``, by default in the cache, or are downloaded to there."""
        given = scenario.normalisation
        wanted = Loading(
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
            image_column=scenario.image_column,
            label_column=scenario.label_column,
        )
        return load(wanted)

    def for_trials(self, data: ImageData) -> ImageData:
        """What pixels are normalised by is measured here, once for all trials."""
        nothing = ImageSet(images=data.test.images[:0].copy(), labels=np.empty(0, dtype=np.int64))
        return replace(data, test=nothing, normalisation=(data.mean, data.std))

    def build(self, model: str, data: ImageData) -> nn.Module:
        return models.build(model, classes=len(data.classes), channels=data.channels, image_size=data.image_size)

    def try_out(self, model: str, data: ImageData) -> None:
        models.try_out(model, classes=len(data.classes), channels=data.channels, image_size=data.image_size)

    def pair(self, teacher: str, student: str, data: ImageData) -> None:
        """Any two do: both have one logit a class."""

    def image_shape(self, data: ImageData) -> tuple[int, int, int]:
        return data.channels, data.image_size, data.image_size

    def on_device(self, part: ImageSet, device: torch.device) -> DeviceImages:
        return DeviceImages(part, device)

    def hold_out(self, part: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
        """In both parts each class keeps its proportion."""
        return split.hold_out(part, share, seed)

    def batches(self, part: DeviceImages, data: ImageData, recipe: Recipe, *, seed: int, epoch: int) -> Iterator[Batch]:
        return epoch_batches(
            part,
            batch_size=recipe.batch_size,
            seed=seed,
            epoch=epoch,
            augmentation=Augmentation(
                flip=recipe.flip, crop_padding=recipe.crop_padding, rotation_degrees=recipe.rotation_degrees
            ),
            mean=data.mean,
            std=data.std,
        )

    def held_out_batches(
        self, part: DeviceImages, data: ImageData, recipe: Recipe, *, seed: int, epoch: int
    ) -> Iterator[Batch]:
        """In an order of its own for each (seed, epoch), round and round."""
        return epoch_batches(
            part,
            batch_size=min(recipe.batch_size, len(part)),
            seed=seed,
            epoch=epoch,
            augmentation=Augmentation(),
            mean=data.mean,
            std=data.std,
            endless=True,
        )

    def outputs(self, network: Network, images: Tensor) -> Outputs:
        return Outputs(network(images))

    def hard_loss(self, outputs: Outputs, labels: Tensor) -> Tensor:
        return cross_entropy(outputs.logits, labels)

    def rest_loss(self, outputs: Outputs, batch: Batch[Tensor], teacher: Outputs | None) -> None:
        return None

    def mean(self, outputs: Outputs, labels: Tensor) -> Mean:
        return torch.mean

    def evaluate(self, network: nn.Module, part: DeviceImages, data: ImageData, precision: str) -> Evaluation:
        """The largest of NaNs would be the first class, and right for its images: what is not finite names none."""
        return evaluate(network, part, data, precision)

    def test_columns(self, predictions: Predictions, data: ImageData) -> dict[str, Any]:
        labels, answers = data.test.labels, predictions.classes.numpy()
        calibrated = calibration(answers == labels, predictions.confidences.numpy())
        return {**class_scores(labels, answers, len(data.classes)), **calibrated}

    def examples(self, data: ImageData, *, pictures: bool) -> dict[str, Any]:
        return class_examples.examples(data, pictures=pictures)

    def explained(self, network: nn.Module, data: ImageData, device: torch.device) -> dict[str, Any]:
        return class_examples.explained(network, data, device)


@torch.inference_mode()
def evaluate(network: nn.Module, part: DeviceImages, data: ImageData, precision: str) -> Evaluation:
    """Mean cross-entropy, accuracy and :class:`Predictions`."""
    network.eval()
    losses, predictions, confidences, correct = [], [], [], []
    for batch in eval_batches(part, batch_size=EVAL_BATCH, mean=data.mean, std=data.std):
        with autocast(batch.images.device, precision):
            logits = network(batch.images)
        losses.append(F.cross_entropy(logits.float(), batch.labels, reduction="sum"))
        finite = logits.isfinite().all(dim=1)
        confidences.append(torch.where(finite, logits.float().softmax(dim=1).amax(dim=1), torch.nan))
        predictions.append(torch.where(finite, logits.argmax(dim=1), NO_CLASS))
        correct.append((predictions[-1] == batch.labels).sum())
    loss, named = torch.stack(losses).sum().item() / len(part), torch.cat(predictions).cpu()
    return Evaluation(
        loss=loss,
        score=torch.stack(correct).sum().item() / len(part),
        finite=math.isfinite(loss) and bool((named != NO_CLASS).all()),
        predictions=Predictions(named, torch.cat(confidences).cpu()),
    )
