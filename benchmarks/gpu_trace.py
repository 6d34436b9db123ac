"""What torch's profiler saw of a piece of work: when the GPU was busy, and how often the host waited for it."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gpu_ceilings import wait_for
from torch.profiler import ProfilerActivity, profile

ON_GPU = ("kernel", "gpu_memcpy", "gpu_memset")
"""Categories of a trace's events that keep the GPU busy."""

WAITING = (
    "cudaStreamSynchronize",
    "cudaDeviceSynchronize",
    "cudaEventSynchronize",
    "cudaMemcpy",
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::equal",
)
"""Calls in which the host waits for a GPU. Those of torch wait on a GPU alone, and are seen on a CPU, too."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Seconds in which the GPU was busy, its kernels, and the host's waits by the call that waited."""

    wall_s: float
    busy_s: float
    kernels: int
    waits: Mapping[str, int]


def traced(work: Callable[[], object], device: torch.device) -> Trace:
    """Do ``work`` under the profiler."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as profiler:
        begun_s = time.perf_counter()
        work()
        wait_for(device)
        wall_s = time.perf_counter() - begun_s
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(file))
        return read(json.loads(file.read_text(encoding="utf-8"))["traceEvents"], wall_s)


def read(events: Iterable[Mapping[str, Any]], wall_s: float) -> Trace:
    """A trace's events in Chrome's format; their times are in µs."""
    whole = [event for event in events if event.get("ph") == "X"]
    on_gpu = [event for event in whole if event.get("cat") in ON_GPU]
    return Trace(
        wall_s=wall_s,
        busy_s=covered([(event["ts"], event["ts"] + event["dur"]) for event in on_gpu]) / 1e6,
        kernels=sum(event["cat"] == "kernel" for event in on_gpu),
        waits=Counter(event["name"] for event in whole if event["name"] in WAITING),
    )


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of ``spans``, each from a beginning to an end."""
    length, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        length += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return length
