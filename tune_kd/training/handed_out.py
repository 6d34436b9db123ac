"""What a trial hands out: the networks of its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from tune_kd.config.scenario import Scenario
from tune_kd.tasks.base import Data
from tune_kd.tasks.catalogue import task_of
from tune_kd.training import quantized


@dataclass(frozen=True, kw_only=True)
class HandedOut:
    """The chosen networks, on the CPU and in evaluation mode."""

    float32: nn.Module  # of a quantized trial that which was quantized
    int8: fx.GraphModule | None = None  # None: the trial was not quantized, or not yet, or it diverged meanwhile
    reduce_range: bool | None = None  # have the activations of ``int8`` 7 bits?


def handed_out(state: Mapping[str, Any], scenario: Scenario, data: Data) -> HandedOut:
    """The networks of a trial's checkpoint, as it was loaded."""
    task, chosen, before = task_of(scenario), state["chosen"]["weights"], state["before"]
    network = task.build(scenario.student, data).eval()
    if before is None:
        network.load_state_dict(chosen)
        return HandedOut(float32=network)
    network.load_state_dict(before["chosen"]["weights"])
    images = torch.zeros(2, *task.image_shape(data))
    prepared = quantized.prepare(network, images, reduce_range=before["reduce_range"])
    prepared.load_state_dict(chosen)
    if not quantized.has_ranges(prepared):
        return HandedOut(float32=prepared.eval())
    return HandedOut(float32=network, int8=quantized.convert(prepared), reduce_range=before["reduce_range"])
