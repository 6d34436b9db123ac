"""The readings of a node's meter at one instant, and the interval between two of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic

from tune_kd.meter.attribution import GpuInterval, Interval, Methods
from tune_kd.meter.energy import combined
from tune_kd.meter.nvml import GpuReading, NvmlReader
from tune_kd.meter.power_model import PowerModel
from tune_kd.meter.processes import ProcessTimes, node_busy_s, read, scan
from tune_kd.meter.rapl import RaplReader
from tune_kd.meter.run_queue import Threads, threads_of

QUIET_LOAD = 0.05


@dataclass(frozen=True, kw_only=True)
class Host:
    """The operating system, as far as a meter reads it. Passed in, so that tests replay recorded readings."""

    clock: Callable[[], float] = monotonic
    busy_s: Callable[[], float] = node_busy_s
    scan: Callable[[], Mapping[int, ProcessTimes]] = scan
    read: Callable[[int], ProcessTimes | None] = read
    threads: Callable[[int], Threads | None] = threads_of


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A node at one instant; energies are cumulative since its readers were made."""

    at_s: float
    busy_s: float
    cpu_j: float
    ram_j: float
    gpus: tuple[GpuReading, ...] | None
    gaps: int


class IdleFloor:
    """Watts at idle: the lowest mean power of a quiet interval; before the first one ``assumed_w``."""

    def __init__(self, assumed_w: float) -> None:
        self.watts = assumed_w
        self.observed = False

    def observe(self, joules: float, duration_s: float, *, quiet: bool) -> None:
        """Take in an interval's energy. Short ones show the counter's step rather than the power."""
        if not quiet or duration_s < 0.5:
            return
        watts = joules / duration_s
        self.watts = min(self.watts, watts) if self.observed else watts
        self.observed = True


@dataclass
class NodeReaders:
    """Every reader that works on this node, and the power model for components without one."""

    power: PowerModel
    rapl: RaplReader | None = None
    nvml: NvmlReader | None = None
    host: Host = field(default_factory=Host)

    def __post_init__(self) -> None:
        self._began_s, self._busy_before_s = self.host.clock(), self.host.busy_s()
        self.cpu_floor = IdleFloor(self.power.cpu_idle_w)
        self.gpu_floors = {gpu.index: IdleFloor(0.0) for gpu in (self.nvml.gpus if self.nvml else ())}
        self._dram = self.rapl is not None and self.rapl.read().dram_j is not None

    @property
    def methods(self) -> Methods:
        """How each component is measured here."""
        return Methods(
            cpu="model" if self.rapl is None else "counter",
            ram="counter" if self._dram else "model",
            gpu=None if self.nvml is None else combined(*(gpu.method for gpu in self.nvml.gpus)),
        )

    def read(self) -> Reading:
        """The node now."""
        at_s, busy_s = self.host.clock(), self.host.busy_s()
        elapsed_s = at_s - self._began_s
        cpu_j = self.power.cpu_idle_w * elapsed_s + self.power.cpu_dynamic_j(busy_s - self._busy_before_s)
        ram_j, gaps = self.power.ram_w * elapsed_s, 0
        if self.rapl is not None:
            cpu_j, dram_j, gaps = self.rapl.read()
            ram_j = ram_j if dram_j is None else dram_j
        gpus = None if self.nvml is None else self.nvml.read()
        gaps += sum(gpu.gaps for gpu in gpus or ())
        return Reading(at_s=at_s, busy_s=busy_s, cpu_j=cpu_j, ram_j=ram_j, gpus=gpus, gaps=gaps)

    def between(self, before: Reading, now: Reading, trial_of: Mapping[int, str]) -> Interval:
        """The interval from ``before`` to ``now``; ``trial_of`` is the trial of a process, by pid."""
        duration_s = now.at_s - before.at_s
        gpus = None
        if now.gpus is not None and before.gpus is not None:
            pairs = zip(before.gpus, now.gpus, strict=True)
            gpus = {new.index: self._gpu_between(old, new, duration_s, trial_of) for old, new in pairs}
        return Interval(
            duration_s=duration_s,
            cpu_j=now.cpu_j - before.cpu_j,
            cpu_idle_j=self.cpu_floor.watts * duration_s,
            ram_j=now.ram_j - before.ram_j,
            busy_s=now.busy_s - before.busy_s,
            gpus=gpus,
        )

    def learn(self, before: Reading, now: Reading) -> None:
        """Update idle power from a closed interval. The model's own idle power is fixed."""
        duration_s = now.at_s - before.at_s
        if self.rapl is not None and now.gaps == before.gaps:
            quiet = now.busy_s - before.busy_s <= QUIET_LOAD * duration_s * self.power.cpus
            self.cpu_floor.observe(now.cpu_j - before.cpu_j, duration_s, quiet=quiet)
        for old, new in zip(before.gpus or (), now.gpus or (), strict=True):
            loads = (old.load, new.load)
            quiet = old.gaps == new.gaps and all(load is not None and load <= QUIET_LOAD for load in loads)
            self.gpu_floors[new.index].observe(new.energy_j - old.energy_j, duration_s, quiet=quiet)

    def _gpu_between(
        self, before: GpuReading, now: GpuReading, duration_s: float, trial_of: Mapping[int, str]
    ) -> GpuInterval:
        sm_s: dict[str, float] | None = None
        other_sm_s = 0.0
        if now.sm_s is not None and before.sm_s is not None:
            sm_s = {}
            for pid, seconds in now.sm_s.items():
                used_s = seconds - before.sm_s.get(pid, 0.0)
                if pid in trial_of:
                    sm_s[trial_of[pid]] = sm_s.get(trial_of[pid], 0.0) + used_s
                else:
                    other_sm_s += used_s
        return GpuInterval(
            total_j=now.energy_j - before.energy_j,
            idle_j=self.gpu_floors[now.index].watts * duration_s,
            sm_s=sm_s,
            other_sm_s=other_sm_s,
        )
