"""How long the threads of a process tree have been ready to run and had no CPU, from Linux's ``schedstat``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

NS_PER_S = 1e9

Waits = Mapping[int, float]
"""Seconds by thread, since the thread began."""


def thread_waits(pid: int) -> Waits | None:
    """What each thread of a process has waited for a CPU; None where the kernel does not tell it, or it is gone."""
    waits: dict[int, float] = {}
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 (once a second for all threads of all trials)
    except OSError:
        return None
    for thread in threads:
        with suppress(OSError, IndexError):  # it has ended meanwhile, or the kernel does not tell
            descriptor = os.open(f"/proc/{pid}/task/{thread}/schedstat", os.O_RDONLY)
            try:
                waits[int(thread)] = int(os.read(descriptor, 64).split()[1]) / NS_PER_S
            finally:
                os.close(descriptor)
    return waits or None


class RunQueue:
    """What a trial's slowest thread has waited from one reading to the next.

    Where several threads compute together, each step takes as long as the slowest of them: the longest wait of an
    interval is what the interval was prolonged by. For one thread that is exact.
    """

    def __init__(self, pids: Iterable[int], read: Callable[[int], Waits | None]) -> None:
        self._read = read
        self._last = self._waits(pids)

    def advance(self, pids: Iterable[int]) -> float | None:
        """Seconds since the last reading, by this one; None where the kernel does not tell.

        A thread that has ended has waited no longer.
        """
        now = self._waits(pids)
        waited_s, self._last = self._longest(now), now
        return waited_s

    def preview(self, pids: Iterable[int]) -> float | None:
        """Seconds since the last reading."""
        return self._longest(self._waits(pids))

    def _waits(self, pids: Iterable[int]) -> Waits | None:
        found = [waits for pid in pids if (waits := self._read(pid)) is not None]
        return {thread: seconds for waits in found for thread, seconds in waits.items()} if found else None

    def _longest(self, now: Waits | None) -> float | None:
        before = self._last
        if before is None:
            return None
        waited_s = (seconds - before.get(thread, 0.0) for thread, seconds in (now or {}).items())
        return max(0.0, *waited_s, 0.0)
