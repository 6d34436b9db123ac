"""The meter of one node: it reads the node about once a second and splits its energy among the trials there.

No Ray in it: ``actor.py`` puts one on every node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from tune_kd.errors import InputError
from tune_kd.meter.attribution import NOBODY, Beside, Use
from tune_kd.meter.beside import Registry, Reservations
from tune_kd.meter.energy import Energy
from tune_kd.meter.node_ledger import NodeLedger, NodeTotals
from tune_kd.meter.pace import AT_REST, Pace
from tune_kd.meter.processes import ProcessTimes
from tune_kd.meter.readings import NodeReaders
from tune_kd.meter.run_queue import RunQueue, ThreadTimes
from tune_kd.meter.tree import ProcessTree


@dataclass(frozen=True, kw_only=True)
class TrialEnergy:
    """The energy and the pace of a trial so far. ``co_tenants`` is the most trials known to have been there with it.

    ``state`` is ``open``, ``closed``, or ``lost`` for a process that ended without unregistering: up to one
    interval of its CPU time is then in the node's ``other``.
    """

    energy: Energy
    co_tenants: int
    pace: Pace = field(default_factory=Pace)
    state: str = "open"


@dataclass(frozen=True, kw_only=True)
class NodeSnapshot:
    """A meter's answer to the driver: the node's totals and its trials, as of the last interval.

    ``runs`` are the node's totals over the time of each run that is under way. ``trials`` are the open ones and those
    that ended since the driver's last request; ``ended`` is the number of all that have ended.
    """

    totals: NodeTotals
    runs: Mapping[str, NodeTotals]
    trials: Mapping[str, TrialEnergy]
    ended: int


@dataclass
class _Seat:
    """A registered process with its reservations, and its trials: one, or those that it trains side by side."""

    tree: ProcessTree
    queue: RunQueue
    cpus: float
    gpu_shares: Mapping[int, float]
    exclusive: frozenset[int]
    run: str | None
    members: tuple[str, ...]
    spare: bool = False
    marked: dict[str, tuple[Energy, Pace]] = field(default_factory=dict)

    def use(self, cpu_s: float, threads: ThreadTimes | None, spare_cpus: float) -> Use:
        return Use(
            cpus=self.cpus + (spare_cpus if self.spare else 0.0),
            cpu_s=cpu_s,
            threads=threads,
            gpu_shares=self.gpu_shares,
            exclusive=self.exclusive,
            run=self.run,
            members=self.members,
        )


class NodeMeter:
    """Meters the trials of one node.

    A trial's name is opaque and of one attempt. Intervals are closed by ``tick``, ``register`` and ``unregister``,
    which scan the processes; ``mark`` reads the counters and the trials' known processes alone. The
    reservations of other meters are read from the ``registry``; without one they are unknown.
    """

    def __init__(self, readers: NodeReaders, *, period_s: float = 1.0, registry: Registry | None = None) -> None:
        if not period_s > 0:
            raise InputError(f"the meter's period must be > 0 s, got {period_s}")
        self.period_s = period_s
        self._readers = readers
        self._ledger = NodeLedger(cpus=readers.power.cpus, methods=readers.methods, period_s=period_s)
        self._seats: dict[str, _Seat] = {}  # by the first of their trials
        self._trials: dict[str, TrialEnergy] = {}
        self._ended: list[str] = []
        self._registry, self._beside = registry, None if registry is None else NOBODY
        self._say()
        self._last = readers.read()

    def begin(self, run: str) -> None:
        """A run begins here and now: the node's totals over its time are kept until :meth:`end`."""
        self._close_interval()
        self._ledger.begin(run)

    def end(self, run: str) -> NodeTotals:
        """A run ends here and now; the node's totals over its time. KeyError for one that has not begun."""
        self._close_interval()
        return self._ledger.end(run)

    def register(
        self,
        trial: str,
        pid: int,
        *,
        cpus: float,
        gpus: Mapping[str, float] | None = None,
        run: str | None = None,
        others: Sequence[str] = (),
        spare: bool = False,
    ) -> None:
        """Meter the process tree of ``pid`` as ``trial`` of ``run`` from now on.

        ``cpus`` and ``gpus`` (share by device id) are its reservations. One that computes with ``spare`` CPUs, too, has
        those beside them that nobody has reserved. ``others`` are trials that the process trains side by side with it:
        all pay equal shares of what it uses, as long as their accounts are open. Raises ProcessLookupError, KeyError
        for a GPU that is not here, InputError for a name that was used before.
        """
        members = (trial, *others)
        for name in members:
            if name in self._trials:
                raise InputError(f"trial {name!r} was metered already; every attempt needs a name of its own")
        processes = self._close_interval()
        shares, exclusive = self._gpu_reservation(gpus or {})
        # A worker has one job at a time: the one before ended without unregistering.
        for before in [name for seat in self._seats.values() if seat.tree.root == pid for name in seat.members]:
            self._end(before, "lost")
        tree = ProcessTree(pid, processes)
        queue = RunQueue(tree.pids, self._readers.host.threads)
        self._seats[trial] = _Seat(tree, queue, cpus, shares, exclusive, run, members, spare)
        self._trials |= dict.fromkeys(members, TrialEnergy(energy=self._nothing(), co_tenants=0, pace=AT_REST))
        self._say()
        self._count_tenants()

    def unregister(self, trial: str) -> TrialEnergy:
        """Close the trial's account, here and now. One that is closed stays as it is; an unknown one is a KeyError."""
        return self.unregister_all([trial])[0]

    def unregister_all(self, trials: Sequence[str]) -> list[TrialEnergy]:
        """Close the accounts of trials, all at the same moment."""
        if closing := [trial for trial in trials if self._seat_of(trial) is not None]:
            self._close_interval()
        for trial in closing:
            self._end(trial, "closed")
        return [self._trials[trial] for trial in trials]

    def mark(self, trial: str) -> TrialEnergy:
        """The trial's energy so far, the open interval included; never less than at the mark before."""
        return self.marks([trial])[0]

    def marks(self, trials: Sequence[str]) -> list[TrialEnergy]:
        """The marks of trials of one process, all at the same moment."""
        open_now = {trial: name for trial in trials if (name := self._seat_of(trial)) is not None}
        for name in set(open_now.values()):
            self._mark(name)
        return [self._marked(trial, open_now.get(trial)) for trial in trials]

    def _marked(self, trial: str, name: str | None) -> TrialEnergy:
        """The last mark of a trial of the seat with this name; of none: as its account was closed."""
        if name is None:
            return self._trials[trial]
        energy, pace = self._seats[name].marked[trial]
        return replace(self._trials[trial], energy=energy, pace=pace)

    def _mark(self, name: str) -> None:
        """Mark the trials of a seat."""
        seat, trial_of = self._seats[name], self._trial_of()
        processes = {pid: times for pid in trial_of if (times := self._readers.host.read(pid)) is not None}
        interval = self._readers.between(self._last, self._readers.read(), trial_of)
        spare = self._spare_cpus()
        uses = {other: seated.use(seated.tree.preview(processes), None, spare) for other, seated in self._seats.items()}
        uses[name] = replace(uses[name], threads=seat.queue.preview(seat.tree.pids))
        for trial in seat.members:
            now = self._ledger.preview(trial, interval, uses, self._beside)
            seat.marked[trial] = _at_least(seat.marked.get(trial, (Energy(), Pace())), now)

    def _seat_of(self, trial: str) -> str | None:
        """The name of the seat of a trial whose account is open."""
        return next((name for name, seat in self._seats.items() if trial in seat.members), None)

    @property
    def _open(self) -> list[str]:
        """The trials whose accounts are open."""
        return [trial for seat in self._seats.values() for trial in seat.members]

    def tick(self) -> None:
        """Close the interval, and the accounts of trials whose process has ended."""
        processes = self._close_interval()
        ended = [seat.members for seat in self._seats.values() if seat.tree.has_ended(processes)]
        for trial in chain.from_iterable(ended):
            self._end(trial, "lost")

    def snapshot(self, ended_before: int = 0) -> NodeSnapshot:
        """Totals and trials; ``ended_before`` is the ``ended`` of the snapshot before, whose trials are known."""
        names = (*self._open, *self._ended[ended_before:])
        trials = {name: self._trials[name] for name in names}
        return NodeSnapshot(
            totals=self._ledger.totals, runs=self._ledger.of_runs, trials=trials, ended=len(self._ended)
        )

    def description(self, given: Mapping[str, float] | None = None) -> dict[str, Any]:
        """How this node is metered, as columns of the store's ``nodes``: methods and parameters.

        ``given`` are the options that took the place of the power model's own figures.
        """
        methods, readers = self._ledger.methods, self._readers
        params = {
            "period_s": self.period_s,
            "attribution": "cpu: CPU seconds; gpu: exclusive, else SM time, else reservation; idle, ram: reservation, "
            "also by trials of other meters",
            "power_model": readers.power.source,
            "given": dict(given or {}),
            "cpu_watts": readers.power.cpu_watts,
            "cpu_idle_w": readers.cpu_floor.watts,
            "cpu_idle_observed": readers.cpu_floor.observed,
            "ram_w": readers.power.ram_w,
            "rapl_packages": list(readers.rapl.packages) if readers.rapl else [],
            "gpus_not_counted": list(readers.nvml.silent) if readers.nvml else [],
            "gpu_idle_w": {str(index): floor.watts for index, floor in readers.gpu_floors.items() if floor.observed},
        }
        return {
            "meter_method_cpu": methods.cpu,
            "meter_method_gpu": methods.gpu,
            "meter_method_ram": methods.ram,
            "meter_params_json": json.dumps(params),
            **(readers.nvml.description() if readers.nvml else {}),
        }

    def _close_interval(self) -> Mapping[int, ProcessTimes]:
        processes = self._readers.host.scan()
        now = self._readers.read()
        trial_of = self._trial_of()
        self._beside = self._look_beside()
        spare = self._spare_cpus()
        uses = {
            trial: seat.use(seat.tree.advance(processes), seat.queue.advance(seat.tree.pids), spare)
            for trial, seat in self._seats.items()
        }
        self._readers.learn(self._last, now)
        interval = self._readers.between(self._last, now, trial_of | self._trial_of())
        self._ledger.close(interval, uses, gap=now.gaps > self._last.gaps, beside=self._beside)
        self._last = now
        for trial in self._open:
            energy, pace = self._ledger.trials[trial], self._ledger.paces[trial]
            self._trials[trial] = replace(self._trials[trial], energy=energy, pace=pace)
        self._count_tenants()
        return processes

    def _spare_cpus(self) -> float:
        """The CPUs that nobody has reserved, for each of those that compute with them."""
        reserved = sum(seat.cpus for seat in self._seats.values()) + (self._beside.cpus if self._beside else 0.0)
        takers = sum(seat.spare for seat in self._seats.values())
        return max(0.0, self._ledger.cpus - reserved) / max(1, takers)

    def _look_beside(self) -> Beside | None:
        """The reservations of other meters here; None if unknown."""
        found = None if self._registry is None else self._registry.others()
        if found is None:
            return None
        gpus = self._readers.nvml.gpus if self._readers.nvml else ()
        shares = {gpu.index: found.gpu_shares[gpu.uuid] for gpu in gpus if gpu.uuid in found.gpu_shares}
        return Beside(trials=found.trials, cpus=found.cpus, gpu_shares=shares)

    def _say(self) -> None:
        """Publish the reservations of this meter's trials to the other meters."""
        if self._registry is None:
            return
        uuids = {gpu.index: gpu.uuid for gpu in (self._readers.nvml.gpus if self._readers.nvml else ())}
        reserved = Reservations()
        for seat in self._seats.values():
            shares = {uuids[index]: share for index, share in seat.gpu_shares.items()}
            reserved += Reservations(trials=1, cpus=seat.cpus, gpu_shares=shares)
        self._registry.say(reserved)

    def _count_tenants(self) -> None:
        others = len(self._seats) - 1 + (self._beside.trials if self._beside else 0)
        for name in self._open:
            most = max(self._trials[name].co_tenants, others)
            self._trials[name] = replace(self._trials[name], co_tenants=most)

    def _end(self, trial: str, state: str) -> None:
        name = self._seat_of(trial)
        assert name is not None, "an account ends once"
        seat = self._seats.pop(name)
        seat.members = tuple(member for member in seat.members if member != trial)
        if seat.members:
            self._seats[name] = seat
        self._say()
        self._ended.append(trial)
        self._trials[trial] = replace(self._trials[trial], state=state)

    def _trial_of(self) -> dict[int, str]:
        return {pid: trial for trial, seat in self._seats.items() for pid in seat.tree.pids}

    def _nothing(self) -> Energy:
        """Zero joules for each component that is metered on this node, None for the others."""
        methods = self._ledger.methods
        gpu_j = None if methods.gpu is None else 0.0
        return Energy(cpu_j=0.0, gpu_j=gpu_j, ram_j=0.0, idle_j=0.0, method=methods.combined)

    def _gpu_reservation(self, gpus: Mapping[str, float]) -> tuple[dict[int, float], frozenset[int]]:
        """Shares by GPU index, and the GPUs that are reserved whole. A MIG instance is a part of its GPU."""
        shares: dict[int, float] = {}
        exclusive: set[int] = set()
        nvml = self._readers.nvml
        if nvml is None:
            return shares, frozenset()
        slices = {gpu.index: gpu.slices for gpu in nvml.gpus}
        for device, share in gpus.items():
            index = nvml.index_of(device)
            shares[index] = shares.get(index, 0.0) + share / slices[index]
            if share >= 1 and slices[index] == 1:
                exclusive.add(index)
        return shares, frozenset(exclusive)


def _at_least(before: tuple[Energy, Pace], now: tuple[Energy, Pace]) -> tuple[Energy, Pace]:
    """``now``, no component below ``before``: a preview may be a little more than the interval's final value."""
    return before if (before[0].total_j or 0.0) > (now[0].total_j or 0.0) else now
