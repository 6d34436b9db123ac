"""Seconds of a trial by phase, and the equal shares of trials that are trained side by side."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import torch


class Phases:
    """Seconds by phase, from a monotonic clock; on a GPU the clock waits for the device at a phase's end."""

    def __init__(self, device: torch.device, before_s: float = 0.0) -> None:
        """``before_s``: what has passed already."""
        self._started_s = time.perf_counter() - before_s
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

    @property
    def duration_s(self) -> float:
        """From the start to this moment, in seconds."""
        return time.perf_counter() - self._started_s

    def _resolve(self) -> None:
        for name, begin, end in self._events:
            self.seconds[name] += begin.elapsed_time(end) / 1000
        self._events.clear()


class Turn(NamedTuple):
    """The place of a trial among so ``many`` that are trained side by side; 0 is the first."""

    place: int
    many: int

    def share(self, whole: int) -> int:
        """Its equal share of a whole number; the first trials have one more each where it does not go in."""
        return whole // self.many + (self.place < whole % self.many)


ALONE = Turn(0, 1)


class Share:
    """The seconds of one of the trials that are trained side by side under one ``clock``: what
    :class:`Divided` gave."""

    def __init__(self, clock: Phases) -> None:
        self._clock = clock
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.duration_s = 0.0

    def phase(self, name: str) -> AbstractContextManager[None]:
        """As the clock's."""
        return self._clock.phase(name)

    def within_step(self, name: str) -> AbstractContextManager[None]:
        """As the clock's."""
        return self._clock.within_step(name)


class Divided:
    """Divides what a clock has counted since the last time among the trials that were trained meanwhile."""

    def __init__(self, clock: Phases) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}
        self._duration_s = 0.0

    def among(self, shares: Sequence[Share]) -> None:
        """Add an equal part to each of the ``shares``."""
        duration_s, seconds = self._clock.duration_s, dict(self._clock.seconds)
        for share in shares:
            share.duration_s += (duration_s - self._duration_s) / len(shares)
            for name, until_s in seconds.items():
                share.seconds[name] += (until_s - self._seconds.get(name, 0.0)) / len(shares)
        self._duration_s, self._seconds = duration_s, seconds
