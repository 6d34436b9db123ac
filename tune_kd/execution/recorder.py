"""Records a run: journals its events at once, asks for tests of ended trials, seals attempts that are complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tune_kd.events import EpochReport, Event, Listener, TrialEnded, TrialMetered, TrialStarted, TrialTested, utc_now
from tune_kd.history.run_history import has_student
from tune_kd.meter.actor import NodeEnergy, NodeMeters
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.client import account
from tune_kd.meter.node import TrialEnergy
from tune_kd.store import Journal, Store

SETTLE_S = 4.0
"""How long the account of an attempt whose worker was killed is waited for; its meter closes it within a period."""

Key = tuple[str, int]  # trial_id, attempt


@dataclass(kw_only=True)
class _Ended:
    """An ended attempt, and what its record still waits for: a test, and the energy of its closed account."""

    event: TrialEnded
    untested: bool
    metered: bool = False
    sealed: tuple[Event, ...] = ()  # the events of an attempt that an earlier driver sealed untested
    since_s: float = field(default_factory=time.monotonic)

    @property
    def complete(self) -> bool:
        return self.metered and not self.untested


class Recorder:
    """A listener with a journal for each attempt. A journal is sealed once the attempt is complete.

    It is complete when its checkpoint has been tested and its node's meter has closed its account. ``told`` is called
    with what is added: the closed account, and the test. ``request_test`` asks for a test, given trial and attempt;
    what comes of it is told to :meth:`tested` or :meth:`not_tested`.
    """

    def __init__(
        self,
        store: Store,
        request_test: Callable[[str, int], object],
        meters: NodeMeters,
        carbon: Carbon,
        told: Listener,
    ) -> None:
        self._store, self._request_test, self._meters = store, request_test, meters
        self._carbon, self._told = carbon, told
        self._journals: dict[Key, Journal] = {}
        self._reported: dict[Key, EpochReport] = {}  # the last of each attempt
        self._ended: dict[Key, _Ended] = {}
        self.problems: list[str] = []  # tests that failed, a line each

    def __call__(self, event: Event) -> None:
        key = (event.trial_id, event.attempt)
        if isinstance(event, TrialStarted):
            self._journals[key] = self._store.journal(event.run_id, *key)
        self._journals[key].append(event)
        if isinstance(event, EpochReport):
            self._reported[key] = event
        if isinstance(event, TrialEnded):
            epochs = self._reported[key].epoch if key in self._reported else 0
            self._ended[key] = _Ended(event=event, untested=has_student(event.status, epochs))
            if self._ended[key].untested:
                self._request_test(*key)
        self.collect()

    def test_late(self, sealed: tuple[Event, ...]) -> None:
        """Have an attempt tested that an earlier driver sealed untested; ``sealed`` are its events."""
        ended = next(event for event in sealed if isinstance(event, TrialEnded))
        key = (ended.trial_id, ended.attempt)
        self._ended[key] = _Ended(event=ended, untested=True, metered=True, sealed=sealed)
        self._request_test(*key)

    def tested(self, trial_id: str, attempt: int, columns: Mapping[str, Any]) -> None:
        """Record the columns of an attempt's test."""
        ended = self._ended[trial_id, attempt]
        ended.untested = False
        event = TrialTested(run_id=ended.event.run_id, trial_id=trial_id, attempt=attempt, at=utc_now(), **columns)
        if ended.sealed:
            self._store.rewrite([*ended.sealed, event])
        else:
            self._journals[trial_id, attempt].append(event)
        self._told(event)
        self.collect()

    def not_tested(self, trial_id: str, attempt: int, reason: str) -> None:
        """A test failed. The trial's own record is whole without it: its test columns stay null."""
        self._ended[trial_id, attempt].untested = False
        self.problems.append(f"{trial_id} could not be tested: {reason}")
        self.collect()

    @property
    def complete(self) -> bool:
        """Is nothing waited for any more? An account is waited for :data:`SETTLE_S` seconds. Call often."""
        self.collect()
        now_s = time.monotonic()
        return all(not ended.untested and now_s - ended.since_s > SETTLE_S for ended in self._ended.values())

    def collect(self) -> None:
        """Take in the accounts that are there, and seal the attempts that are complete. Never waits."""
        self._collect(self._meters.poll())

    def close(self) -> None:
        """Seal every attempt, tested or not. Without a closed account its last report counts.

        Accounts are waited for, until :data:`SETTLE_S` seconds after the end of the last attempt.
        """
        until_s = max((ended.since_s for ended in self._ended.values()), default=0.0) + SETTLE_S
        while not all(ended.metered for ended in self._ended.values()):
            self._collect(self._meters.settle())
            if time.monotonic() >= until_s:
                break
            time.sleep(0.1)
        for key in list(self._ended):
            self._seal(key)

    def _collect(self, nodes: Mapping[str, NodeEnergy]) -> None:
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

    def _append_account(self, ended: _Ended, closed: TrialEnergy) -> None:
        event, energy = ended.event, closed.energy
        metered = TrialMetered(
            run_id=event.run_id,
            trial_id=event.trial_id,
            attempt=event.attempt,
            at=utc_now(),
            **energy.columns(),
            co2e_g=self._carbon.co2e_g(energy.total_j),
            co_tenants=closed.co_tenants,
            **closed.pace.columns(),
        )
        self._journals[event.trial_id, event.attempt].append(metered)
        self._told(metered)
        ended.metered = True

    def _seal(self, key: Key) -> None:
        ended = self._ended.pop(key)
        self._reported.pop(key, None)
        if not ended.sealed:
            del self._journals[key]
            self._store.seal(ended.event.run_id, *key)
