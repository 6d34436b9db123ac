"""Who pays for an interval of a node's energy. Pure arithmetic: no clock, no process, no device.

Dynamic energy goes by use, idle and RAM energy by reservation. ``other`` is the energy of processes that are not
registered, and the energy that trials of another meter have reserved. Energy that nobody reserved is unreserved idle.
Trials + other + unreserved idle = node, always.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tune_kd.meter.energy import Energy, combined
from tune_kd.meter.run_queue import ThreadTimes


@dataclass(frozen=True, kw_only=True)
class GpuInterval:
    """One GPU's energy. ``sm_s`` is SM time by trial and ``other_sm_s`` everybody else's; None: unknown."""

    total_j: float
    idle_j: float
    sm_s: Mapping[str, float] | None
    other_sm_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A node between two readings. ``gpus`` is by GPU index, None if none can be read."""

    duration_s: float
    cpu_j: float
    cpu_idle_j: float
    ram_j: float
    busy_s: float
    gpus: Mapping[int, GpuInterval] | None = None


@dataclass(frozen=True, kw_only=True)
class Use:
    """One trial in the interval: its reserved CPUs, used CPU seconds, reserved share of each GPU (0 to 1).

    ``exclusive`` are the GPUs that it has to itself. ``run`` is the run that it belongs to; None for a teacher.
    ``threads`` are the most that one of its threads has run and has waited for a CPU; None: unknown.
    ``members`` are the trials that one process trains side by side, if there are several: they pay equal shares.
    """

    cpus: float
    cpu_s: float
    threads: ThreadTimes | None = None
    gpu_shares: Mapping[int, float] = field(default_factory=dict)
    exclusive: frozenset[int] = frozenset()
    run: str | None = None
    members: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Reservations of other meters' trials on the node: number of trials, CPUs, share of each GPU by index."""

    trials: int = 0
    cpus: float = 0.0
    gpu_shares: Mapping[int, float] = field(default_factory=dict)


NOBODY = Beside()


@dataclass(frozen=True, kw_only=True)
class Methods:
    """How each component was measured; None for a component that was not."""

    cpu: str | None
    ram: str | None
    gpu: str | None = None

    @property
    def combined(self) -> str | None:
        """The method of a sum over the components."""
        return combined(self.cpu, self.ram, self.gpu)


@dataclass(frozen=True, kw_only=True)
class Split:
    """An interval, attributed: the energy of each trial, of others, and the energy that nobody reserved.

    ``by_the_hour`` is the part of each trial's energy that is modelled by time; None where a counter is read.
    """

    trials: Mapping[str, Energy]
    by_the_hour: Mapping[str, float] | None
    other_j: float
    idle_j: float


def split(
    interval: Interval, uses: Mapping[str, Use], *, cpus: int, methods: Methods, beside: Beside = NOBODY
) -> Split:
    """Who pays for ``interval`` on a node of ``cpus`` CPUs; ``beside`` are trials that another meter charges."""
    idle_j = min(interval.cpu_idle_j, interval.cpu_j)
    used = by_use(interval.cpu_j - idle_j, {trial: use.cpu_s for trial, use in uses.items()}, interval.busy_s)
    reserved, beside_share = reserved_shares({trial: use.cpus for trial, use in uses.items()}, cpus, beside.cpus)
    gpu_dynamic, gpu_idle, gpu_beside_j = split_gpus(interval.gpus or {}, uses, beside)
    energies = {
        trial: Energy(
            cpu_j=used[trial],
            gpu_j=None if interval.gpus is None else gpu_dynamic[trial],
            ram_j=interval.ram_j * reserved[trial],
            idle_j=idle_j * reserved[trial] + gpu_idle[trial],
            method=methods.combined,
        )
        for trial in uses
    }
    gpu_idle_j = sum(min(gpu.idle_j, gpu.total_j) for gpu in (interval.gpus or {}).values())
    gpu_dynamic_j = sum(gpu.total_j for gpu in (interval.gpus or {}).values()) - gpu_idle_j
    used_by_others_j = interval.cpu_j - idle_j - math.fsum(used.values())
    used_by_others_j += gpu_dynamic_j - math.fsum(gpu_dynamic.values())
    free = 1 - math.fsum(reserved.values()) - beside_share
    hourly_j = (idle_j if methods.cpu == "model" else 0.0) + (interval.ram_j if methods.ram == "model" else 0.0)
    modelled = "model" in (methods.cpu, methods.ram)
    return Split(
        trials=energies,
        by_the_hour={trial: hourly_j * reserved[trial] for trial in uses} if modelled else None,
        other_j=used_by_others_j + (idle_j + interval.ram_j) * beside_share + gpu_beside_j,
        idle_j=(idle_j + interval.ram_j) * free + gpu_idle_j - math.fsum(gpu_idle.values()) - gpu_beside_j,
    )


def by_use(joules: float, used_s: Mapping[str, float], node_s: float) -> dict[str, float]:
    """``joules`` by used seconds against the node's; the clocks of the two differ a little, so never more than all."""
    whole_s = max(node_s, math.fsum(used_s.values()))
    return {trial: joules * seconds / whole_s if whole_s > 0 else 0.0 for trial, seconds in used_s.items()}


def reserved_shares(reserved: Mapping[str, float], whole: float, beside: float = 0.0) -> tuple[dict[str, float], float]:
    """The share of ``whole`` that each has reserved, and that of ``beside``, which others have.

    If more is reserved than there is, it is the share of all reservations.
    """
    all_of_it = max(whole, math.fsum(reserved.values()) + beside)
    return {trial: amount / all_of_it for trial, amount in reserved.items()}, beside / all_of_it


def split_gpus(
    gpus: Mapping[int, GpuInterval], uses: Mapping[str, Use], beside: Beside
) -> tuple[dict[str, float], dict[str, float], float]:
    """Each trial's joules of GPUs: dynamic, and idle by reservation; the idle joules that others have reserved."""
    dynamic, idle, beside_j = dict.fromkeys(uses, 0.0), dict.fromkeys(uses, 0.0), 0.0
    for index, gpu in gpus.items():
        held = {trial: share for trial, use in uses.items() if (share := use.gpu_shares.get(index, 0.0)) > 0}
        of_others = beside.gpu_shares.get(index, 0.0)
        idle_j = min(gpu.idle_j, gpu.total_j)
        shares, beside_share = reserved_shares(held, 1.0, of_others)
        beside_j += idle_j * beside_share
        for trial, share in shares.items():
            idle[trial] += idle_j * share
        for trial, share in dynamic_gpu_shares(index, gpu, uses, held, of_others).items():
            dynamic[trial] += (gpu.total_j - idle_j) * share
    return dynamic, idle, beside_j


def dynamic_gpu_shares(
    index: int, gpu: GpuInterval, uses: Mapping[str, Use], held: Mapping[str, float], of_others: float
) -> dict[str, float]:
    """Each trial's share of a GPU's energy above idle.

    All of it for the trial that has the GPU to itself; else by SM time. If that is unknown, or nobody had any, by
    reservation among the trials that hold it.
    """
    if len(held) == 1 and not of_others and index in uses[next(iter(held))].exclusive:
        return dict.fromkeys(held, 1.0)
    if gpu.sm_s is not None and (whole_s := math.fsum(gpu.sm_s.values()) + gpu.other_sm_s) > 0:
        return {trial: seconds / whole_s for trial, seconds in gpu.sm_s.items() if trial in uses}
    return reserved_shares(held, 0.0, of_others)[0] if held else {}
