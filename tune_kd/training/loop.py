"""The pieces of a training loop: optimizer, schedule, epoch. Torch only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from tune_kd.config.training import Recipe
from tune_kd.data.batches import Batch
from tune_kd.tasks.base import Part


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


def cosine(optimizer: torch.optim.Optimizer, steps: int) -> LambdaLR:
    """The learning rate by step: along half a cosine to 0, which the step after the last of ``steps`` would have."""
    return LambdaLR(optimizer, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)


def train_epoch(
    model: nn.Module,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    schedule: LambdaLR,
    loss_of: Callable[[int, Batch], Tensor],
) -> Tensor:
    """One optimizer step a batch on ``loss_of(step, batch)``; the mean loss, on the CPU. Waits for the device once.

    A loss is a scalar, or [N] for N networks that are trained as one: their sum is minimised.
    """
    model.train()
    losses = []
    for step, batch in enumerate(batches):
        loss = loss_of(step, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward(torch.ones_like(loss))
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    return torch.stack(losses).mean(dim=0).cpu()


def trained_images(part: Part, recipe: Recipe) -> int:
    """How many images of the training part an epoch trains on: all but one that is left alone in the last batch."""
    return len(part) - (len(part) % recipe.batch_size == 1)


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """The names of tensors with a NaN or an infinity in them. Waits for the device once."""
    finite = torch.stack([tensor.isfinite().all() for tensor in weights.values()]).tolist()
    return [name for name, sound in zip(weights, finite, strict=True) if not sound]
