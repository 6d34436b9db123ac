"""How a process computes a trial: its device, its threads and its memory."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tune_kd.training import quantized, stacked


def device(gpus: float) -> torch.device:
    """The GPU that Ray gave this worker, or the CPU."""
    return torch.device("cuda" if gpus > 0 else "cpu")


def prepare_process(cpus: float, *, quantizes: bool = False, stacks: bool = False) -> None:
    """A reused worker keeps the thread count of whatever ran in it before: set it for this task.

    ``quantizes``: will a student be quantized here? ``stacks``: will students be trained side by side?
    """
    torch.set_num_threads(max(1, int(cpus)))
    torch.set_flush_denormal(True)  # denormals slow a CPU down by an order of magnitude
    warm_up()
    if quantizes:
        quantized.warm_up()
    if stacks:
        stacked.warm_up()


@contextmanager
def as_in_a_worker(cpus: float) -> Iterator[None]:
    """Compute here as a worker does, so that the results are a worker's, and afterwards as before."""
    threads, flushed = torch.get_num_threads(), sys.float_info.min / 2 == 0
    prepare_process(cpus)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)


@functools.cache
def warm_up() -> None:
    """Train a toy once in this process: torch loads seconds' worth of modules at its first optimizer step.

    It happens before the meter starts. Else the first trial of a worker would cost twice what the next one does.
    """
    toy = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(toy.parameters(), lr=0.1)
    toy(torch.ones(1, 1)).sum().backward()
    optimizer.step()
