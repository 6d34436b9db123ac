"""A computer whose clock, CPU seconds and processes are set by hand."""

from __future__ import annotations

from tune_kd.meter.power_model import PowerModel
from tune_kd.meter.processes import ProcessTimes
from tune_kd.meter.readings import Host
from tune_kd.meter.run_queue import NEW, ThreadTimes

POWER = PowerModel(cpus=2, cpu_watts=100, ram_gib=10, ram_watts_per_gib=0.5, idle_share=0.2, source="recorded")


class RecordedHost:
    """Two CPUs; :meth:`run` lets processes use them for a while."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.busy_s = 0.0
        self.processes: dict[int, ProcessTimes] = {}
        self.scans = 0
        self.read_pids: list[int] = []
        self.threads: dict[int, dict[int, ThreadTimes]] | None = {}  # by process; None: a kernel that does not tell

    @property
    def host(self) -> Host:
        return Host(
            clock=lambda: self.now_s,
            busy_s=lambda: self.busy_s,
            scan=self.scan,
            read=self.read,
            threads=self.threads_of,
        )

    def scan(self) -> dict[int, ProcessTimes]:
        self.scans += 1
        return dict(self.processes)

    def read(self, pid: int) -> ProcessTimes | None:
        self.read_pids.append(pid)
        return self.processes.get(pid)

    def start(self, pid: int, parent: int = 1) -> None:
        self.processes[pid] = ProcessTimes(parent, started=self.now_s, own_s=0.0, reaped_s=0.0)

    def run(self, duration_s: float, cpu_s: dict[int, float]) -> None:
        """``cpu_s`` by pid; a pid that is not a process is somebody whom no scan ever sees."""
        self.now_s += duration_s
        self.busy_s += sum(cpu_s.values())
        for pid, used_s in cpu_s.items():
            if pid in self.processes:
                times = self.processes[pid]
                self.processes[pid] = times._replace(own_s=times.own_s + used_s)
                self.thread(pid, pid, run_s=used_s)

    def threads_of(self, pid: int) -> dict[int, ThreadTimes] | None:
        return None if self.threads is None or pid not in self.processes else dict(self.threads.get(pid, {pid: NEW}))

    def thread(self, pid: int, thread: int, *, run_s: float = 0.0, wait_s: float = 0.0) -> None:
        """A thread of a process ran for so long, and was ready to run for so long and had no CPU."""
        if self.threads is not None:
            threads = self.threads.setdefault(pid, {})
            before = threads.get(thread, NEW)
            threads[thread] = ThreadTimes(before.run_s + run_s, before.wait_s + wait_s)

    def end(self, pid: int, *, waited_for: bool = True) -> None:
        ended = self.processes.pop(pid)
        if waited_for and ended.parent in self.processes:
            parent = self.processes[ended.parent]
            reaped_s = parent.reaped_s + ended.own_s + ended.reaped_s
            self.processes[ended.parent] = parent._replace(reaped_s=reaped_s)
