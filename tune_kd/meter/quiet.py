"""How busy other programs keep this machine, and the wait until they no longer do."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from tune_kd.meter.processes import node_busy_s, own_tree_cpu_s

BUSY = 0.25
"""The share of a machine's CPUs from which other programs change a trial's energy noticeably."""
LOOK_S, QUIET_S = 0.5, 5.0
"""How long is looked, in seconds: once, and for whoever waits for quiet, which must last so long."""
SAID_EVERY = 12
"""After how many looks it is said again what is waited for."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """How many of the machine's ``cpus`` other programs keep busy, in the mean over a time."""

    busy_cpus: float
    cpus: int

    @property
    def is_quiet(self) -> bool:
        """Is it little enough?"""
        return self.busy_cpus <= BUSY * self.cpus

    def __str__(self) -> str:
        return f"other programs keep {self.busy_cpus:.1f} of {self.cpus} CPUs busy"


def look(
    duration_s: float = LOOK_S,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    busy_s: Callable[[], float] = node_busy_s,
    own_s: Callable[[], float] = own_tree_cpu_s,
) -> Load:
    """The load of other programs over so long a time from now. This process and its children are not counted."""
    began_s, before_s = clock(), busy_s() - own_s()
    sleep(duration_s)
    others_s = max(0.0, busy_s() - own_s() - before_s)
    return Load(busy_cpus=others_s / max(clock() - began_s, duration_s), cpus=psutil.cpu_count() or 1)


def wait_for_quiet(told: Callable[[str], object], looking: Callable[[float], Load] = look) -> None:
    """Return once other programs have left the machine alone for :data:`QUIET_S` seconds.

    ``told`` is called with the reason when the wait begins, and each minute.
    """
    for number in itertools.count():
        if (load := looking(QUIET_S)).is_quiet:
            return
        if number % SAID_EVERY == 0:
            told(f"waiting for a quiet machine: {load}")
