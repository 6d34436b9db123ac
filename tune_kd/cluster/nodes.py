"""The nodes of the cluster: each is checked before it gets trials, also one that joins during a run."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_kd.cluster.checkpoint_actor import start_checkpoint_actor
from tune_kd.cluster.code import Code, this_code
from tune_kd.cluster.machine import node as node_row
from tune_kd.cluster.session import Resources
from tune_kd.errors import InputError
from tune_kd.events import Event, TrialStarted
from tune_kd.meter.actor import NodeMeters
from tune_kd.meter.node_ledger import NodeTotals
from tune_kd.meter.options import Metering
from tune_kd.progress.base import Progress
from tune_kd.storage.cache import Cache

LOOK_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """The answer of a node that was looked at."""

    machine: dict[str, Any]  # its columns of ``nodes``
    code: Code
    sees_folder: bool  # the cache's
    problem: str | None  # why it cannot reach the cache's URL, in one line; None: it can, or there is none


def look_at_node(cache: Cache, marker: str) -> Look:
    """Ray task: the hardware, software and code of the node that it runs on, and whether it sees the cache."""
    node_id, problem = ray.get_runtime_context().get_node_id(), None
    try:
        cache.check()
    except InputError as error:
        problem = str(error)
    return Look(machine=node_row(node_id), code=this_code(), sees_folder=Path(marker).exists(), problem=problem)


def begin_look(node_id: str, cache: Cache, marker: Path) -> Any:
    """Start looking at a node; the reference to its :class:`Look`."""
    look = ray.remote(look_at_node).options(num_cpus=0, scheduling_strategy=only(node_id))
    return look.remote(cache, str(marker))


class Cluster:
    """The nodes that may be used: they run the driver's code, and each has a meter.

    ``progress`` notes each node that came late, in one line.
    """

    def __init__(self, resources: Resources, *, cache: Cache, metering: Metering, progress: Progress) -> None:
        self._resources, self._cache, self._progress = resources, cache, progress
        self.meters = NodeMeters(period_s=metering.meter_period, power=metering.power())
        # Who does not find this file does not see the folder of the driver's cache.
        self.marker = cache.folder / f".seen-by-{secrets.token_hex(8)}"
        self._here = ray.get_runtime_context().get_node_id()
        self._looks: dict[str, Any] = {}
        self._checkpoint_actor: Any = None
        self._occupied: list[Any] = []
        self._refused: set[str] = set()
        self._lost: dict[str, set[str]] = {}  # by run: the nodes that it knows to be lost
        self._looked_at_s = float("-inf")
        self.machines: dict[str, dict[str, Any]] = {}  # by node id, of all that could ever be used
        self._gone_before: dict[str, Set[str]] = {}  # by run: the nodes that had left before it began
        self._alive: dict[str, Mapping[str, float]] = {}

    def open(self) -> None:
        """Look at every node. Raises InputError for one that cannot be used, before anything is spent."""
        self._cache.folder.mkdir(parents=True, exist_ok=True)
        self.marker.touch()
        self._find()
        for node_id, answer in self._looks.items():
            if problem := self._take(node_id, answer):
                raise InputError(problem)
        self._looks.clear()
        self.meters.cover(self.machines)  # nodes come and go between any two of these lines
        for node_id, described in self.meters.descriptions().items():
            self.machines[node_id].update(described or {})

    def watch(self, event: Event | None = None) -> None:
        """Look at nodes that have joined. Never waits; call it often."""
        # A trial may have been started on a node that came a moment ago.
        if isinstance(event, TrialStarted) or time.monotonic() - self._looked_at_s >= LOOK_EVERY_S:
            self._find()
        if not self._looks:
            return
        for answer in ray.wait(list(self._looks.values()), num_returns=len(self._looks), timeout=0)[0]:
            node_id = next(node_id for node_id, look in self._looks.items() if look == answer)
            del self._looks[node_id]
            if problem := self._take(node_id, answer):
                self._refuse(node_id, problem)
            else:
                self.meters.add(node_id)
                self._progress.note(f"node {node_id[:8]} has joined")

    def room(self) -> int:
        """How many trials may run at a time, on the nodes that are there now."""
        self.watch()
        fits = sum(self._resources.fits(there) for node_id, there in self._alive.items() if node_id in self.machines)
        return fits if self._resources.most is None else min(fits, self._resources.most)

    def begin(self, run_id: str) -> None:
        """A run begins: meters count for it from now on."""
        self._find()
        self._gone_before[run_id] = self.machines.keys() - self._alive.keys()
        self._lost[run_id] = {node_id for node_id, node in self.meters.poll().items() if node.lost is not None}
        self.meters.begin(run_id)

    def has_lost_one(self, run_id: str) -> bool:
        """Has a node's meter gone since this was last asked for the run, or since it began? Never waits."""
        lost = {node_id for node_id, node in self.meters.poll().items() if node.lost is not None}
        news, self._lost[run_id] = bool(lost - self._lost[run_id]), lost
        return news

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        """The run's rows of ``nodes``: the machines, and what their meters have counted for it as far as is known."""
        return self._rows(run_id, self.meters.totals(run_id))

    def end(self, run_id: str) -> list[dict[str, Any]]:
        """A run ends; its rows of ``nodes``. The meters are asked and waited for."""
        return self._rows(run_id, self.meters.end(run_id))

    def _rows(self, run_id: str, totals: Mapping[str, NodeTotals]) -> list[dict[str, Any]]:
        known, described = self.meters.poll(), self.meters.descriptions()
        rows = []
        for node_id in self.machines.keys() - self._gone_before[run_id]:
            machine = self.machines[node_id]
            counted = totals[node_id].row() if node_id in totals else {}
            machine.update(described[node_id] or {})
            rows.append({**machine, **counted, "meter_error": known[node_id].lost})
        return rows

    def close(self) -> None:
        """Remove the marker."""
        self.marker.unlink(missing_ok=True)

    def _find(self) -> None:
        self._looked_at_s = time.monotonic()
        self._alive = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}
        for node_id in self._alive.keys() - self.machines.keys() - self._looks.keys() - self._refused:
            self._looks[node_id] = begin_look(node_id, self._cache, self.marker)

    def _take(self, node_id: str, answer: Any) -> str | None:
        """Admit a node; None, or in one line why it cannot be used."""
        name = self._name(node_id)
        try:
            look: Look = ray.get(answer)
        except RayError as error:
            return f"{name} cannot run tune-kd: {str(error).strip().splitlines()[-1]}"
        if difference := this_code().difference(look.code):
            # On the driver's own node, too: the workers of a Ray that was running import one of that Ray's folders.
            here, elsewhere = "start the command in another folder", "install the same tune-kd on every node"
            advice = here if node_id == self._here else elsewhere
            return f"{name} runs other code than the driver: {difference}; {advice}"
        if look.problem:
            return f"{name} {look.problem}"
        if not look.sees_folder and self._checkpoint_actor is None:
            self._checkpoint_actor = start_checkpoint_actor(self._cache.folder)
        self.machines[node_id] = look.machine
        return None

    def _refuse(self, node_id: str, problem: str) -> None:
        """Keep trials from a late node of no use: an actor reserves all of its CPUs and GPUs."""
        self._refused.add(node_id)
        self._progress.note(f"{problem}; it gets no trials")
        there = self._alive.get(node_id, {})
        occupant = ray.remote(_occupant()).options(
            num_cpus=there.get("CPU", 0), num_gpus=there.get("GPU", 0), scheduling_strategy=only(node_id)
        )
        self._occupied.append(occupant.remote())

    def _name(self, node_id: str) -> str:
        address = next((node["NodeManagerAddress"] for node in ray.nodes() if node["NodeID"] == node_id), "?")
        return f"node {node_id[:8]} at {address}"


def only(node_id: str) -> NodeAffinitySchedulingStrategy:
    """On this node or nowhere."""
    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def rather(node_id: str | None) -> NodeAffinitySchedulingStrategy | str:
    """On this node, or elsewhere once it is gone."""
    return "DEFAULT" if node_id is None else NodeAffinitySchedulingStrategy(node_id, soft=True)


def _occupant() -> type:
    class Occupant:  # a local class travels by value: a node without our code can hold it, too
        pass

    return Occupant
