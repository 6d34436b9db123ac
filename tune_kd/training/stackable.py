"""Can the students of a scenario be trained side by side, and does it pay? Found out by trying, on the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tune_kd.config.scenario import Scenario
from tune_kd.models import fast
from tune_kd.models.own import first_line
from tune_kd.tasks.base import Data
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.stacked import StackedNetworks

TRIED = 4
"""So many students are tried."""

ROUNDS, ENOUGH_S = 10, 2.0
"""Both ways are timed in turn, so often or until so many seconds have passed; the fastest of each counts."""

PAYS = 1.1
"""From this gain on it pays: what is less, the spread between two machines takes away."""

TOLERANCE = 1e-3
"""By how much logits may differ, as a part of the largest: float32 sums in another order."""


@dataclass(frozen=True, kw_only=True)
class Stacking:
    """What was found: why students cannot be stacked, or how many times as fast :data:`TRIED` of them are."""

    refused: str | None = None
    gain: float | None = None

    @property
    def pays(self) -> bool:
        """Are they faster as one?"""
        return self.gain is not None and self.gain >= PAYS


def try_stacking(scenario: Scenario, data: Data, device: torch.device) -> Stacking:
    """Try it with fresh students and a batch of noise: forward and backward passes, as one and one after another."""
    task = task_of(scenario)
    networks = [fast.for_training(task.build(scenario.student, data), device).train() for _ in range(TRIED)]
    images = torch.randn(scenario.recipe.batch_size, *task.image_shape(data)).to(device)
    images = images.contiguous(memory_format=torch.channels_last)

    def through(network: Callable[[Tensor], Tensor]) -> Tensor:
        with fast.autocast(device, scenario.precision):
            return task.outputs(network, images).logits.float()

    try:
        stacked = StackedNetworks(networks)
        _backward(through(stacked), list(stacked.parameters.values()))
    except Exception as error:  # somebody else's network may do in its forward what vmap cannot follow
        return Stacking(refused=first_line(error).partition(". ")[0])
    with torch.no_grad():  # compared in float32, whatever the precision
        as_one = task.outputs(stacked, images).logits
        one_by_one = torch.stack([task.outputs(network, images).logits for network in networks])
    if (as_one - one_by_one).abs().max() > TOLERANCE * one_by_one.abs().max():
        return Stacking(refused="their outputs differ from those of separate networks")

    def all_as_one() -> None:
        _backward(through(stacked), list(stacked.parameters.values()))

    def one_after_another() -> None:
        for network in networks:
            _backward(through(network), list(network.parameters()))

    taken = _fastest([all_as_one, one_after_another], device)
    return Stacking(gain=taken[1] / taken[0])


def _backward(logits: Tensor, weights: Sequence[nn.Parameter | Tensor]) -> None:
    torch.autograd.grad(logits.square().mean(), list(weights), allow_unused=True)


def _fastest(ways: Sequence[Callable[[], None]], device: torch.device) -> list[float]:
    """The seconds of each way, once warm, at its fastest: on a CPU its own seconds, for there may be other work."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    taken = [float("inf")] * len(ways)
    until_s = time.perf_counter() + ENOUGH_S
    for number in range(ROUNDS + 1):
        for place, way in enumerate(ways):
            started_s = clock()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number:  # the first is warm-up
                taken[place] = min(taken[place], clock() - started_s)
        if number and time.perf_counter() > until_s:
            break
    return taken
