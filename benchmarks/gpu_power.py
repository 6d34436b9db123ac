"""The first GPU's energy counter and power, recorded over time: what a piece of work took by NVML itself."""

from __future__ import annotations

import importlib
import itertools
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from tune_kd.meter.counter import Unavailable

MILLI = 1e-3
PERIOD_S = 0.02


class Sample(NamedTuple):
    """The counter and the power at one moment of the wall clock."""

    at_s: float
    energy_j: float
    power_w: float


class Gpu:
    """The first GPU that NVML counts. ``nvml`` is the module pynvml; its errors are raised as they are."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        nvml.nvmlInit()
        self._handle = nvml.nvmlDeviceGetHandleByIndex(0)
        self.sample()

    def sample(self) -> Sample:
        energy_mj = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        power_mw = self._nvml.nvmlDeviceGetPowerUsage(self._handle)
        return Sample(time.time(), energy_mj * MILLI, power_mw * MILLI)


def first_gpu() -> Gpu:
    """Raises Unavailable, with the reason, where there is none that counts its energy."""
    try:
        return Gpu(importlib.import_module("pynvml"))
    except Exception as error:  # pynvml's own are not known before it is imported
        raise Unavailable(f"NVML: {error}") from error


@contextmanager
def recording(gpu: Gpu) -> Iterator[list[Sample]]:
    """Samples from the beginning of the ``with`` block to its end, one every 20 ms."""
    samples, over = [gpu.sample()], threading.Event()

    def sample() -> None:
        while not over.wait(PERIOD_S):
            samples.append(gpu.sample())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
        samples.append(gpu.sample())


def counted_j(samples: Sequence[Sample], begin_s: float, end_s: float) -> float:
    """What the counter advanced between two moments, its samples joined by straight lines."""
    return _counter_at(samples, end_s) - _counter_at(samples, begin_s)


def integrated_j(samples: Sequence[Sample]) -> float:
    """Power integrated by the trapezium rule over all samples."""
    pairs = itertools.pairwise(samples)
    return sum((one.power_w + other.power_w) / 2 * (other.at_s - one.at_s) for one, other in pairs)


def step_s(samples: Sequence[Sample]) -> float | None:
    """The time from one advance of the counter to the next, its median; None for fewer than two advances."""
    advances = [other.at_s for one, other in itertools.pairwise(samples) if other.energy_j != one.energy_j]
    gaps = [later - earlier for earlier, later in itertools.pairwise(advances)]
    return statistics.median(gaps) if gaps else None


def _counter_at(samples: Sequence[Sample], at_s: float) -> float:
    """Between two samples in proportion, before the first and after the last as there."""
    before = samples[0]
    for sample in samples:
        if sample.at_s >= at_s:
            span_s = sample.at_s - before.at_s
            share = (at_s - before.at_s) / span_s if span_s > 0 else 0.0
            return before.energy_j + max(0.0, share) * (sample.energy_j - before.energy_j)
        before = sample
    return before.energy_j
