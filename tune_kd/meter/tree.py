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
        self._owed_s: dict[int, float] = {}

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
        spent_s, self._owed_s = spent_between(self._seen, now, self._owed_s)
        self._seen = now
        return spent_s

    def preview(self, processes: Processes) -> float:
        """CPU seconds since the last scan, of the processes that were seen in it."""
        return spent_between(self._seen, _survivors(self._seen, processes), self._owed_s)[0]

    def _members(self, processes: Processes) -> dict[int, ProcessTimes]:
        known = _survivors(self._seen, processes)
        below = (descendants(pid, processes) for pid in _tops(known))
        return known | {pid: processes[pid] for pids in below for pid in pids}


def spent_between(before: Processes, now: Processes, owed_s: Mapping[int, float]) -> tuple[float, dict[int, float]]:
    """CPU seconds that a tree used between two scans, and what each process owes afterwards.

    Both scans hold the tree's members alone. A child that ended in between is in its parent's reaped time, all its
    life long. The part that was already charged at the scan before is taken off: from its nearest ancestor that still
    lives. A scan reads one process after the other. If a child ends meanwhile, its parent's reaped time may be of the
    moment before. What cannot be taken off yet is owed, and is taken off at the next scan.
    """
    charged_s: dict[int, float] = {}
    for pid, times in before.items():
        if _same(pid, before, now):
            continue
        heir = times.parent
        while heir in before and not _same(heir, before, now):
            heir = before[heir].parent
        charged_s[heir] = charged_s.get(heir, 0.0) + times.own_s + times.reaped_s
    own_s = sum(_own_s(pid, before, now) for pid in now)
    reaped_s = {pid: _reaped_s(pid, before, now) for pid in now}
    after_s = {pid: reaped - charged_s.get(pid, 0.0) - owed_s.get(pid, 0.0) for pid, reaped in reaped_s.items()}
    # A child that nobody waits for is never in the reaped time: what is owed for it is forgotten a scan later.
    owes_s = {pid: min(-left, charged_s[pid]) for pid, left in after_s.items() if left < 0 and pid in charged_s}
    return own_s + sum(max(0.0, left) for left in after_s.values()), owes_s


def _own_s(pid: int, before: Processes, now: Processes) -> float:
    return max(0.0, now[pid].own_s - (before[pid].own_s if _same(pid, before, now) else 0.0))


def _reaped_s(pid: int, before: Processes, now: Processes) -> float:
    return now[pid].reaped_s - (before[pid].reaped_s if _same(pid, before, now) else 0.0)


def _same(pid: int, before: Processes, now: Processes) -> bool:
    return pid in now and pid in before and now[pid].started == before[pid].started


def _survivors(seen: Processes, processes: Processes) -> dict[int, ProcessTimes]:
    return {pid: processes[pid] for pid in seen if _same(pid, seen, processes)}


def _tops(members: Processes) -> list[int]:
    """Those whose parent is not a member: the root, and whom somebody else adopted."""
    return [pid for pid, times in members.items() if times.parent not in members]
