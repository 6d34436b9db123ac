"""CPU seconds of a process tree between two scans, reaped children included."""

from __future__ import annotations

from collections.abc import Mapping

from tune_kd.meter.processes import ProcessTimes, descendants

Processes = Mapping[int, ProcessTimes]


class ProcessTree:
    """A root process and the processes that it starts. CPU time of before is not counted.

    A process once seen in the tree stays in it, also when its parent ends and another adopts it. Raises
    ProcessLookupError if the root is not among ``processes``.
    """

    def __init__(self, root: int, processes: Processes) -> None:
        if root not in processes:
            raise ProcessLookupError(f"no process {root}")
        self.root = root
        self._started = processes[root].started
        self._seen = {pid: processes[pid] for pid in {root} | descendants(root, processes)}

    @property
    def pids(self) -> frozenset[int]:
        """The processes that were seen in it last."""
        return frozenset(self._seen)

    def has_ended(self, processes: Processes) -> bool:
        """Whether the root is gone; a later process with its pid is another one."""
        root = processes.get(self.root)
        return root is None or root.started != self._started

    def advance(self, processes: Processes) -> float:
        """CPU seconds since the last scan, by this one."""
        now = self._members(processes)
        spent_s = spent_between(self._seen, now)
        self._seen = now
        return spent_s

    def preview(self, processes: Processes) -> float:
        """CPU seconds since the last scan, of the processes that were seen in it."""
        return spent_between(self._seen, _survivors(self._seen, processes))

    def _members(self, processes: Processes) -> dict[int, ProcessTimes]:
        known = _survivors(self._seen, processes)
        below = (descendants(pid, processes) for pid in _tops(known))
        return known | {pid: processes[pid] for pids in below for pid in pids}


def spent_between(before: Processes, now: Processes) -> float:
    """CPU seconds that a tree used between two scans; both hold its members alone.

    A child that ended in between is in its parent's reaped time, all its life long. The part that was already
    charged at the scan before is taken off: from its nearest ancestor that still lives.
    """
    charged_s: dict[int, float] = {}
    for pid, times in before.items():
        if _same(pid, before, now):
            continue
        heir = times.parent
        while heir in before and not _same(heir, before, now):
            heir = before[heir].parent
        charged_s[heir] = charged_s.get(heir, 0.0) + times.own_s + times.reaped_s
    return sum(_used(pid, before, now, charged_s.get(pid, 0.0)) for pid in now)


def _used(pid: int, before: Processes, now: Processes, charged_s: float) -> float:
    times = now[pid]
    if not _same(pid, before, now):
        return times.own_s + times.reaped_s
    own_s = times.own_s - before[pid].own_s
    # A child that nobody waited for is never in the reaped time: nothing to take off then.
    return max(0.0, own_s) + max(0.0, times.reaped_s - before[pid].reaped_s - charged_s)


def _same(pid: int, before: Processes, now: Processes) -> bool:
    return pid in now and pid in before and now[pid].started == before[pid].started


def _survivors(seen: Processes, processes: Processes) -> dict[int, ProcessTimes]:
    return {pid: processes[pid] for pid in seen if _same(pid, seen, processes)}


def _tops(members: Processes) -> list[int]:
    """Those whose parent is not a member: the root, and whom somebody else adopted."""
    return [pid for pid, times in members.items() if times.parent not in members]
