"""Seconds of a trial by phase."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Phases:
    """Seconds by phase, from a monotonic clock; on a GPU the clock waits for the device at a phase's end."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._device = device
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of the ``with`` block to ``name``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
                self._resolve()
            self.seconds[name] += time.perf_counter() - started

    @contextmanager
    def within_step(self, name: str) -> Iterator[None]:
        """The same inside a step, where nothing may wait for the device: a GPU's time comes from its own events."""
        if self._device.type != "cuda":
            with self.phase(name):
                yield
            return
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        yield
        end.record()
        self._events.append((name, begin, end))

    def _resolve(self) -> None:
        for name, begin, end in self._events:
            self.seconds[name] += begin.elapsed_time(end) / 1000
        self._events.clear()
