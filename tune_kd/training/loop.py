"""The pieces of a training loop: optimizer, schedule, evaluation. Torch only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from tune_kd.config.scenario import Recipe
from tune_kd.data import ImageData
from tune_kd.data.batches import Augmentation, Batch, DeviceImages, epoch_batches, eval_batches
from tune_kd.models.fast import autocast

EVAL_BATCH = 512
NO_CLASS = -1  # the prediction of a network whose output is not finite


def optimizer(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The recipe's optimizer over ``parameters``."""
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    return torch.optim.SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def schedule(recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int) -> LambdaLR:
    """The learning rate by step, ``steps`` of them an epoch: linear warm-up from 0, then drops at the milestones."""

    def factor(step: int) -> float:
        warmup = recipe.warmup_epochs * steps
        if step < warmup:
            return (step + 1) / warmup
        drops = sum(step >= milestone * steps for milestone in recipe.milestones)
        return recipe.gamma**drops

    return LambdaLR(optimizer, factor)


def train_epoch(
    model: nn.Module,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    schedule: LambdaLR,
    loss_of: Callable[[int, Batch], Tensor],
) -> float:
    """One optimizer step a batch on ``loss_of(step, batch)``, a scalar; the mean loss. Waits for the device once."""
    model.train()
    losses = []
    for step, batch in enumerate(batches):
        loss = loss_of(step, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    return torch.stack(losses).mean().item()


def training_batches(
    images: DeviceImages, data: ImageData, recipe: Recipe, *, seed: int, epoch: int
) -> Iterator[Batch]:
    """The recipe's batches of one epoch: order and augmentation are a pure function of (seed, epoch)."""
    return epoch_batches(
        images,
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
    images: DeviceImages, data: ImageData, recipe: Recipe, *, seed: int, epoch: int
) -> Iterator[Batch]:
    """Batches of what is held out, in an order of its own for each (seed, epoch), not augmented, round and round."""
    return epoch_batches(
        images,
        batch_size=min(recipe.batch_size, len(images)),
        seed=seed,
        epoch=epoch,
        augmentation=Augmentation(),
        mean=data.mean,
        std=data.std,
        endless=True,
    )


def trained_images(images: DeviceImages, recipe: Recipe) -> int:
    """How many images an epoch trains on: all but one that is left alone in the last batch."""
    return len(images) - (len(images) % recipe.batch_size == 1)


class Evaluation(NamedTuple):
    """What a pass over labelled images gives."""

    loss: float  # mean cross-entropy
    accuracy: float  # the fraction of images named rightly
    predictions: Tensor  # [N] int64 on the CPU; NO_CLASS where an output was not finite

    @property
    def finite(self) -> bool:
        """Were all outputs and the loss finite?"""
        return math.isfinite(self.loss) and bool((self.predictions != NO_CLASS).all())


@torch.inference_mode()
def evaluate(model: nn.Module, images: DeviceImages, data: ImageData, precision: str) -> Evaluation:
    """One pass in evaluation mode over ``images``, in their order.

    Outputs that are not finite name no class: the largest of NaNs would be the first class, and right where that is.
    """
    model.eval()
    losses, predictions, correct = [], [], []
    for batch in eval_batches(images, batch_size=EVAL_BATCH, mean=data.mean, std=data.std):
        with autocast(batch.images.device, precision):
            logits = model(batch.images)
        losses.append(F.cross_entropy(logits.float(), batch.labels, reduction="sum"))
        finite = logits.isfinite().all(dim=1)
        predictions.append(torch.where(finite, logits.argmax(dim=1), NO_CLASS))
        correct.append((predictions[-1] == batch.labels).sum())
    total = len(images)
    return Evaluation(
        loss=torch.stack(losses).sum().item() / total,
        accuracy=torch.stack(correct).sum().item() / total,
        predictions=torch.cat(predictions).cpu(),
    )


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """The names of tensors with a NaN or an infinity in them. Waits for the device once."""
    finite = torch.stack([tensor.isfinite().all() for tensor in weights.values()]).tolist()
    return [name for name, sound in zip(weights, finite, strict=True) if not sound]
