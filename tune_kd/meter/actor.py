"""The Ray edge of the node meter: one actor a node, and the driver's view of all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_kd.meter.beside import Registry
from tune_kd.meter.node import NodeMeter, NodeSnapshot, TrialEnergy
from tune_kd.meter.node_ledger import NodeTotals
from tune_kd.meter.power_model import detect
from tune_kd.meter.probe import open_readers


def meter_name(node_id: str) -> str:
    """The name of a node's meter, by which its trials find it."""
    return f"meter-{node_id}"


class MeterActor:
    """A :class:`NodeMeter` behind Ray. All methods run in one event loop, so that no two of them meet."""

    def __init__(self, period_s: float, power: Mapping[str, Any]) -> None:
        self._period_s, self._given, self._running = period_s, dict(power), False
        self._meter = NodeMeter(open_readers(detect(**power)), period_s=period_s, registry=Registry())

    async def begin(self, run: str) -> None:
        self._meter.begin(run)

    async def end(self, run: str) -> NodeTotals:
        return self._meter.end(run)

    async def run(self) -> None:
        """Close an interval every period, for as long as the actor lives. A second call returns at once."""
        if self._running:
            return
        self._running = True
        due_s = time.monotonic()
        while True:
            # By the clock and not by the sleep, so that the rate does not drift; missed ticks are skipped.
            due_s = max(due_s + self._period_s, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())
            self._meter.tick()

    async def register(
        self,
        trials: Sequence[str],
        pid: int,
        cpus: float,
        gpus: Mapping[str, float],
        run: str | None,
        spare: bool,
    ) -> None:
        first, *others = trials
        self._meter.register(first, pid, cpus=cpus, gpus=gpus, run=run, others=others, spare=spare)

    async def unregister(self, trials: Sequence[str]) -> list[TrialEnergy]:
        return self._meter.unregister_all(trials)

    async def mark(self, trials: Sequence[str]) -> list[TrialEnergy]:
        return self._meter.marks(trials)

    async def snapshot(self, ended_before: int) -> NodeSnapshot:
        return self._meter.snapshot(ended_before)

    async def description(self) -> dict[str, Any]:
        return self._meter.description(self._given)


@dataclass(frozen=True, kw_only=True)
class NodeEnergy:
    """The driver's latest knowledge of one node. ``lost`` is the reason why no more come; None while it lives."""

    node_id: str
    snapshot: NodeSnapshot | None
    trials: Mapping[str, TrialEnergy]
    lost: str | None


class NodeMeters:
    """One meter on every node that is alive now, started at construction without waiting for any; more by ``add``.

    ``power`` are the options of :func:`tune_kd.meter.power_model.detect`. Needs an initialised Ray. Meters live as long
    as their handles here; trials look them up by name.
    """

    def __init__(self, *, period_s: float = 1.0, power: Mapping[str, Any] | None = None) -> None:
        node_ids = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
        self._period_s, self._power = period_s, power or {}
        self._actors = {node_id: _start(node_id, period_s, self._power) for node_id in node_ids}
        self._described: dict[str, dict[str, Any]] = {}
        self._runs: set[str] = set()  # under way
        self._kept_up_at_s = self._asked_at_s = float("-inf")
        self._asked: dict[str, Any] = {}
        self._known = {node_id: _unknown(node_id) for node_id in self._actors}

    def add(self, node_id: str) -> None:
        """Meter one more node, which has joined."""
        self._actors[node_id] = _start(node_id, self._period_s, self._power)
        self._known[node_id] = _unknown(node_id)
        for run in self._runs:
            self._actors[node_id].begin.remote(run)

    def remove(self, node_id: str) -> None:
        """Forget a node, which is gone."""
        for of_node in (self._actors, self._known, self._asked, self._described):
            of_node.pop(node_id, None)

    def cover(self, node_ids: Iterable[str]) -> None:
        """Meter these nodes and no others."""
        wanted = set(node_ids)
        for node_id in self._actors.keys() - wanted:
            self.remove(node_id)
        for node_id in wanted - self._actors.keys():
            self.add(node_id)

    def begin(self, run: str) -> None:
        """A run begins on every node: its totals there are counted from now on."""
        self._runs.add(run)
        for actor in self._actors.values():
            actor.begin.remote(run)  # not waited for: calls of one caller arrive in order

    def end(self, run: str, timeout_s: float = 5.0) -> dict[str, NodeTotals]:
        """A run ends; by node id the node's totals over its time. Waits for the nodes that are there.

        A node that is gone, or does not answer within ``timeout_s``, has those of its last snapshot, if it has any.
        """
        self._runs.discard(run)
        totals = self.totals(run)
        asked = {node: self._actors[node].end.remote(run) for node, known in self._known.items() if known.lost is None}
        if asked:
            ray.wait(list(asked.values()), num_returns=len(asked), timeout=timeout_s)
        for node_id, answer in asked.items():
            with suppress(GetTimeoutError, RayError):
                totals[node_id] = ray.get(answer, timeout=0)
        return totals

    def totals(self, run: str) -> dict[str, NodeTotals]:
        """By node id the node's totals over the time of a run that is under way, as of the latest snapshots."""
        latest = {node_id: known.snapshot for node_id, known in self._known.items()}
        return {
            node_id: snapshot.runs[run] for node_id, snapshot in latest.items() if snapshot and run in snapshot.runs
        }

    def poll(self) -> Mapping[str, NodeEnergy]:
        """The latest readings of every node, by node id. Never waits; requests new ones once a period. Call often."""
        if self._asked:
            done = set(ray.wait(list(self._asked.values()), num_returns=len(self._asked), timeout=0)[0])
            for node_id, answer in [asked for asked in self._asked.items() if asked[1] in done]:
                del self._asked[node_id]
                self._take(node_id, answer)
        if time.monotonic() - self._asked_at_s >= self._period_s:
            self._asked_at_s = time.monotonic()
            self._ask()
        return dict(self._known)

    def keep_up(self) -> None:
        """Poll four times a period at most: for a loop that turns more often, while no events come for minutes."""
        if time.monotonic() - self._kept_up_at_s >= self._period_s / 4:
            self._kept_up_at_s = time.monotonic()
            self.poll()

    def settle(self, timeout_s: float = 5.0) -> Mapping[str, NodeEnergy]:
        """The final readings of every node: requests them once more and waits at most ``timeout_s``."""
        self._ask()
        if self._asked:
            ray.wait(list(self._asked.values()), num_returns=len(self._asked), timeout=timeout_s)
        for node_id, answer in list(self._asked.items()):
            self._take(node_id, answer)
        self._asked.clear()
        return dict(self._known)

    def descriptions(self, timeout_s: float = 10.0) -> dict[str, dict[str, Any] | None]:
        """How each node is metered, by node id, requested once; None for a meter that never answered."""
        for node_id in self._actors.keys() - self._described.keys():
            if self._known[node_id].lost is None and (found := _description(self._actors[node_id], timeout_s)):
                self._described[node_id] = found
        return {node_id: self._described.get(node_id) for node_id in self._actors}

    def _ask(self) -> None:
        for node_id, known in self._known.items():
            if known.lost is None and node_id not in self._asked:
                ended = known.snapshot.ended if known.snapshot else 0
                self._asked[node_id] = self._actors[node_id].snapshot.remote(ended)

    def _take(self, node_id: str, answer: Any) -> None:
        known = self._known[node_id]
        try:
            snapshot: NodeSnapshot = ray.get(answer, timeout=0)
        except GetTimeoutError:
            return
        except RayError as error:
            reason = str(error).partition("\n")[0]
            self._known[node_id] = NodeEnergy(
                node_id=node_id, snapshot=known.snapshot, trials=known.trials, lost=reason
            )
            return
        trials = {**known.trials, **snapshot.trials}
        self._known[node_id] = NodeEnergy(node_id=node_id, snapshot=snapshot, trials=trials, lost=None)


def _unknown(node_id: str) -> NodeEnergy:
    """What is known of a node whose meter has not answered yet."""
    return NodeEnergy(node_id=node_id, snapshot=None, trials={}, lost=None)


def _start(node_id: str, period_s: float, power: Mapping[str, Any]) -> Any:
    actor = (
        ray.remote(MeterActor)
        .options(
            name=meter_name(node_id),
            get_if_exists=True,
            num_cpus=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False),
        )
        .remote(period_s, dict(power))
    )
    actor.run.remote()
    return actor


def _description(actor: Any, timeout_s: float) -> dict[str, Any] | None:
    try:
        described: dict[str, Any] = ray.get(actor.description.remote(), timeout=timeout_s)
    except (GetTimeoutError, RayError):
        return None
    return described
