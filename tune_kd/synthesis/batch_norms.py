"""What a teacher's batch norms say of its inputs: their statistics, beside those that were met in training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tune_kd.config.scenario import Scenario
from tune_kd.errors import InputError
from tune_kd.losses import wide


class Statistics(NamedTuple):
    """Mean and biased variance of each channel, [C], over the images and pixels of a batch."""

    mean: Tensor
    variance: Tensor


def batch_norms(teacher: nn.Module) -> list[nn.BatchNorm2d]:
    """The batch norms of ``teacher`` that have met images."""
    return [layer for layer in teacher.modules() if isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats]


def check_synthesis(scenario: Scenario, teacher: nn.Module) -> None:
    """Refuse a teacher without batch norms for a method that reads them. Raises InputError."""
    synthesis = scenario.synthesis
    if synthesis is not None and synthesis.reads_batch_norms and not batch_norms(teacher):
        raise InputError(
            f"synthesis method {synthesis.method!r} reads the statistics of the teacher's batch norms, and "
            f"{scenario.teacher!r} has none; take a teacher that has, or --synthesis noise or real"
        )


class BatchNormInputs:
    """The inputs of a teacher's batch norms, [B, C, H, W] each, in the last pass through it."""

    def __init__(self, layers: Sequence[nn.BatchNorm2d]) -> None:
        self.layers = layers
        self.inputs: list[Tensor] = []

    def statistics(self) -> list[Statistics]:
        """Of the inputs of each layer."""
        flat = (wide(inputs).transpose(0, 1).flatten(1) for inputs in self.inputs)
        return [Statistics(values.mean(1), values.var(1, correction=0)) for values in flat]

    def distance(self, statistics: Sequence[Statistics]) -> Tensor:
        """How far ``statistics`` are from those of training, a scalar: Σ over layers of ‖σ² − σ̂²‖ + ‖μ − μ̂‖.

        The norms are not squared. Source: Yin et al. 2020.
        """
        parts = []
        for layer, met in zip(self.layers, statistics, strict=True):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            parts += [torch.linalg.vector_norm(met.variance - layer.running_var)]
            parts += [torch.linalg.vector_norm(met.mean - layer.running_mean)]
        return torch.stack(parts).sum()

    def features(self) -> Tensor:
        """The means over height and width of all inputs, side by side: [B, all channels]."""
        return torch.cat([inputs.mean(dim=(2, 3)) for inputs in self.inputs], dim=1)


@contextmanager
def watched(teacher: nn.Module) -> Iterator[BatchNormInputs]:
    """Note the inputs of the batch norms of ``teacher`` within this context; afterwards no hook is left on it."""
    layers = batch_norms(teacher)
    seen = BatchNormInputs(layers)

    def begin(module: nn.Module, arguments: object) -> None:
        seen.inputs = []

    def note(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen.inputs.append(arguments[0])

    hooks = [teacher.register_forward_pre_hook(begin), *(layer.register_forward_pre_hook(note) for layer in layers)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
