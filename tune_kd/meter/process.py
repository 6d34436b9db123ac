"""The meter of one process tree: the energy of one trial under the stated power model.

It does not see other processes, and cannot read a counter that it would have to share. A node meter is better if one
runs; this one needs nothing.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import replace

from tune_kd.errors import InputError
from tune_kd.meter.attribution import Use
from tune_kd.meter.energy import Energy
from tune_kd.meter.pace import AT_REST, Pace, pace
from tune_kd.meter.power_model import PowerModel
from tune_kd.meter.processes import own_tree_cpu_s
from tune_kd.meter.run_queue import RunQueue, Threads, threads_of


class ProcessMeter:
    """Energy of this process and its children since construction, by their CPU seconds.

    ``cpus`` is how many of the node's CPUs are reserved: idle and RAM energy are charged by that share of it,
    dynamic CPU energy by use. GPUs are not seen (None). Clock and CPU-time source are passed in so that
    tests replay recorded ones. Raises InputError for a reservation that cannot be.
    """

    def __init__(
        self,
        power_model: PowerModel,
        cpus: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu_seconds: Callable[[], float] = own_tree_cpu_s,
        threads: Callable[[int], Threads | None] = threads_of,
    ) -> None:
        if not (math.isfinite(cpus) and cpus > 0):
            raise InputError(f"reserved CPUs must be > 0, got {cpus}")
        self._power = power_model
        self._reserved = min(1.0, cpus / power_model.cpus)
        self._clock = clock
        self._cpu_seconds = cpu_seconds
        self._started_at_s = clock()
        self._last_cpu_s = cpu_seconds()
        self._used_s = 0.0
        self._cpus, self._queue = cpus, RunQueue([os.getpid()], threads)
        self.pace = AT_REST

    @property
    def co_tenants(self) -> None:
        """Unknown: this meter sees one process tree."""

    def mark(self) -> Energy:
        """Energy since construction; cumulative, and never less than at the mark before."""
        cpu_s = self._cpu_seconds()
        # The sum over a tree falls when a child ends that nobody waits for: its CPU time stays charged.
        self._used_s += max(0.0, cpu_s - self._last_cpu_s)
        self._last_cpu_s = cpu_s
        duration_s = self._clock() - self._started_at_s
        energy = Energy(
            cpu_j=self._power.cpu_dynamic_j(self._used_s),
            ram_j=self._power.ram_w * duration_s * self._reserved,
            idle_j=self._power.cpu_idle_w * duration_s * self._reserved,
            method="model",
        )
        self.pace = self._pace_of(energy, duration_s)
        return energy

    def _pace_of(self, energy: Energy, duration_s: float) -> Pace:
        """Since construction. What other programs did meanwhile is not seen."""
        use = Use(cpus=self._cpus, cpu_s=self._used_s, threads=self._queue.preview([os.getpid()]))
        by_the_hour_j = (energy.ram_j or 0.0) + (energy.idle_j or 0.0)
        found = pace(duration_s, use, energy, by_the_hour_j)
        return replace(found, wait_other_s=None, other_cpu_s=None)
