"""CPU seconds of processes, from the operating system. A scan of all of them takes about 10 µs each on Linux."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import psutil

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class ProcessTimes(NamedTuple):
    """One process at one instant. ``started`` distinguishes it from a later process with the same pid."""

    parent: int
    started: float
    own_s: float  # user + system time of its threads
    reaped_s: float  # the same of its ended children that it has waited for, and of theirs


def scan() -> dict[int, ProcessTimes]:
    """Every process that can be seen, by pid."""
    if sys.platform != "linux":
        return _read_all(psutil.pids())
    return _read_all(int(entry) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208 (twice as fast)


def read(pid: int) -> ProcessTimes | None:
    """One process; None if it is gone, or another user's and ``/proc`` is mounted with hidepid."""
    if sys.platform != "linux":
        return _read_psutil(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 (half again as fast as a Path)
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # proc(5); the name, field 2, may hold anything but ends with the last parenthesis. Fields count from 1.
    fields = stat[stat.rindex(b")") + 2 :].split()
    user, system, reaped_user, reaped_system = (int(ticks) / _TICKS_PER_S for ticks in fields[11:15])
    return ProcessTimes(int(fields[1]), float(fields[19]), user + system, reaped_user + reaped_system)


def descendants(root: int, processes: Mapping[int, ProcessTimes]) -> set[int]:
    """The pids below ``root``, without it."""
    children: dict[int, list[int]] = {}
    for pid, times in processes.items():
        children.setdefault(times.parent, []).append(pid)
    found: set[int] = set()
    waiting = [root]
    while waiting:
        new = [pid for pid in children.get(waiting.pop(), ()) if pid not in found]
        found.update(new)
        waiting.extend(new)
    return found


def own_tree_cpu_s() -> float:
    """CPU seconds so far of this process, its live descendants and those that were waited for."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    own_s = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    processes = scan()
    below = (processes[pid] for pid in descendants(os.getpid(), processes))
    return own_s + sum(times.own_s + times.reaped_s for times in below)


def node_busy_s() -> float:
    """CPU seconds that the whole computer has been busy since it started."""
    times = psutil.cpu_times()
    # Linux counts guests' time in user and nice as well; time stolen by the host was not computed here.
    return float(times.user + times.system + getattr(times, "nice", 0) + _interrupts_s(times))


def _interrupts_s(times: object) -> float:
    return float(getattr(times, "irq", 0) + getattr(times, "softirq", 0))


def _read_all(pids: Iterable[int]) -> dict[int, ProcessTimes]:
    return {pid: times for pid in pids if (times := read(pid)) is not None}


def _read_psutil(pid: int) -> ProcessTimes | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            cpu = process.cpu_times()
            reaped_s = getattr(cpu, "children_user", 0.0) + getattr(cpu, "children_system", 0.0)
            return ProcessTimes(process.ppid(), process.create_time(), cpu.user + cpu.system, reaped_s)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
