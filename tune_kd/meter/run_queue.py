"""How long the threads of a process tree have run, and waited for a CPU when ready to: Linux's ``schedstat``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

NS_PER_S = 1e9


class ThreadTimes(NamedTuple):
    """Seconds of a thread since it began: on a CPU, and ready to run without one."""

    run_s: float
    wait_s: float


NEW = ThreadTimes(0.0, 0.0)
Threads = Mapping[int, ThreadTimes]
"""By thread; ids are those of one machine, whatever the process."""


def threads_of(pid: int) -> Threads | None:
    """The threads of a process; None where the kernel does not tell of them, or the process is gone."""
    times: dict[int, ThreadTimes] = {}
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 (once a second for all threads of all trials)
    except OSError:
        return None
    for thread in threads:
        with suppress(OSError, ValueError):  # it has ended meanwhile, or the kernel does not tell
            descriptor = os.open(f"/proc/{pid}/task/{thread}/schedstat", os.O_RDONLY)
            try:
                run_ns, wait_ns, _ = os.read(descriptor, 64).split()
            finally:
                os.close(descriptor)
            times[int(thread)] = ThreadTimes(int(run_ns) / NS_PER_S, int(wait_ns) / NS_PER_S)
    return times or None


class RunQueue:
    """What a trial's threads did from one reading to the next: the most that one has run, and that one has waited.

    Where several threads compute together, each step takes as long as the slowest of them. For one thread both are
    exact.
    """

    def __init__(self, pids: Iterable[int], read: Callable[[int], Threads | None]) -> None:
        self._read = read
        self._last = self._threads(pids)

    def advance(self, pids: Iterable[int]) -> ThreadTimes | None:
        """Since the last reading, by this one; None where the kernel does not tell. What has ended counts no more."""
        now = self._threads(pids)
        most, self._last = self._most(now), now
        return most

    def preview(self, pids: Iterable[int]) -> ThreadTimes | None:
        """Since the last reading."""
        return self._most(self._threads(pids))

    def _threads(self, pids: Iterable[int]) -> Threads | None:
        found = [threads for pid in pids if (threads := self._read(pid)) is not None]
        return {thread: times for threads in found for thread, times in threads.items()} if found else None

    def _most(self, now: Threads | None) -> ThreadTimes | None:
        before = self._last
        if before is None:
            return None
        pairs = [(times, before.get(thread, NEW)) for thread, times in (now or {}).items()]
        run_s = max((new.run_s - old.run_s for new, old in pairs), default=0.0)
        wait_s = max((new.wait_s - old.wait_s for new, old in pairs), default=0.0)
        return ThreadTimes(max(0.0, run_s), max(0.0, wait_s))
