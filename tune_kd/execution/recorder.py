"""Records a run: journals its events at once, has ended trials tested, and seals each attempt when it is complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray

from tune_kd.events import EpochReport, Event, Listener, TrialEnded, TrialMetered, TrialStarted, TrialTested, utc_now
from tune_kd.history.run_history import has_student
from tune_kd.meter.actor import NodeEnergy, NodeMeters
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.client import account
from tune_kd.meter.node import TrialEnergy
from tune_kd.store import Journal, Store

SETTLE_TRIES = 4
Key = tuple[str, int]  # trial_id, attempt


@dataclass(kw_only=True)
class _Ended:
    """An ended attempt, and what its record still waits for: a test, and the energy of its closed account."""

    event: TrialEnded
    examination: Any | None
    metered: bool = False
    sealed: tuple[Event, ...] = ()  # the events of an attempt that an earlier driver sealed untested

    @property
    def complete(self) -> bool:
        return self.metered and self.examination is None


class Recorder:
    """A listener with a journal for each attempt. A journal is sealed once the attempt is complete.

    It is complete when its checkpoint has been tested and its node's meter has closed its account. ``charge`` is
    called with the closed account. ``examine`` starts a test, given trial, attempt and node; it returns a reference.
    """

    def __init__(
        self,
        store: Store,
        examine: Callable[[str, int, str | None], Any],
        meters: NodeMeters,
        carbon: Carbon,
        charge: Listener,
    ) -> None:
        self._store, self._examine, self._meters = store, examine, meters
        self._carbon, self._charge = carbon, charge
        self._journals: dict[Key, Journal] = {}
        self._reported: dict[Key, EpochReport] = {}  # the last of each attempt
        self._ended: dict[Key, _Ended] = {}
        self.problems: list[str] = []  # examinations that failed, a line each

    def __call__(self, event: Event) -> None:
        key = (event.trial_id, event.attempt)
        if isinstance(event, TrialStarted):
            self._journals[key] = self._store.journal(event.run_id, *key)
        self._journals[key].append(event)
        if isinstance(event, EpochReport):
            self._reported[key] = event
        if isinstance(event, TrialEnded):
            epochs = self._reported[key].epoch if key in self._reported else 0
            examination = self._examine(*key, self._node_of(key)) if has_student(event.status, epochs) else None
            self._ended[key] = _Ended(event=event, examination=examination)
        self._collect(self._meters.poll(), timeout_s=0)

    def examine_late(self, sealed: tuple[Event, ...]) -> None:
        """Have an attempt tested that an earlier driver sealed untested; ``sealed`` are its events."""
        ended = next(event for event in sealed if isinstance(event, TrialEnded))
        key = (ended.trial_id, ended.attempt)
        node_id = next((event.node_id for event in reversed(sealed) if isinstance(event, EpochReport)), None)
        examination = self._examine(*key, node_id)
        self._ended[key] = _Ended(event=ended, examination=examination, metered=True, sealed=sealed)

    def finish(self) -> None:
        """Wait for all tests and accounts, then seal every attempt. Without a closed account its last report counts."""
        while any(ended.examination is not None for ended in self._ended.values()):
            self._collect(self._meters.poll(), timeout_s=1)
        # A killed worker's account is closed by its meter's next reading, up to a period later.
        for _ in range(SETTLE_TRIES):
            self._collect(self._meters.settle(), timeout_s=0)
            if not self._ended:
                break
            time.sleep(1)
        for key in list(self._ended):
            self._seal(key)

    def _collect(self, nodes: Mapping[str, NodeEnergy], timeout_s: float) -> None:
        """Take in the tests and accounts that are there, and seal the attempts that are complete."""
        self._take_examinations(timeout_s)
        for key, ended in list(self._ended.items()):
            if not ended.metered:
                self._settle(key, ended, nodes)
            if ended.complete:
                self._seal(key)

    def _settle(self, key: Key, ended: _Ended, nodes: Mapping[str, NodeEnergy]) -> None:
        """Charge an ended attempt its whole account, once the account is closed or its node's meter is gone."""
        node = nodes.get(self._node_of(key) or "")
        of_nodes = nodes.values() if node is None else [node]
        for node, known in [(node, node.trials.get(account(*key))) for node in of_nodes]:
            if known is not None and known.state != "open":
                self._append_account(ended, known)
            elif node.lost is not None and (known is not None or key in self._reported):
                # The meter's last snapshot is charged, unless the last report has more.
                ended.metered = True
                if known is not None and (known.energy.total_j or 0.0) > self._reported_j(key):
                    self._append_account(ended, known)

    def _node_of(self, key: Key) -> str | None:
        """The node that an attempt ran on; None before its first report."""
        return self._reported[key].node_id if key in self._reported else None

    def _reported_j(self, key: Key) -> float:
        return (self._reported[key].energy_j or 0.0) if key in self._reported else 0.0

    def _take_examinations(self, timeout_s: float) -> None:
        waiting = {ended.examination: ended for ended in self._ended.values() if ended.examination is not None}
        if not waiting:
            return
        done, _ = ray.wait(list(waiting), num_returns=1, timeout=timeout_s)
        for reference in done:
            ended = waiting[reference]
            ended.examination = None
            event = ended.event
            try:
                columns = ray.get(reference)
            except ray.exceptions.RayError as error:
                # The trial's own record is whole without it: test columns stay null.
                self.problems.append(f"{event.trial_id} could not be tested: {str(error).strip().splitlines()[-1]}")
                continue
            tested = TrialTested(
                run_id=event.run_id, trial_id=event.trial_id, attempt=event.attempt, at=utc_now(), **columns
            )
            if ended.sealed:
                self._store.rewrite([*ended.sealed, tested])
            else:
                self._journals[event.trial_id, event.attempt].append(tested)

    def _append_account(self, ended: _Ended, closed: TrialEnergy) -> None:
        event, energy = ended.event, closed.energy
        metered = TrialMetered(
            run_id=event.run_id,
            trial_id=event.trial_id,
            attempt=event.attempt,
            at=utc_now(),
            energy_j=energy.total_j,
            energy_cpu_j=energy.cpu_j,
            energy_gpu_j=energy.gpu_j,
            energy_ram_j=energy.ram_j,
            energy_idle_j=energy.idle_j,
            energy_method=energy.method,
            co2e_g=self._carbon.co2e_g(energy.total_j),
            co_tenants=closed.co_tenants,
        )
        self._journals[event.trial_id, event.attempt].append(metered)
        self._charge(metered)
        ended.metered = True

    def _seal(self, key: Key) -> None:
        ended = self._ended.pop(key)
        self._reported.pop(key, None)
        if not ended.sealed:
            del self._journals[key]
            self._store.seal(ended.event.run_id, *key)
