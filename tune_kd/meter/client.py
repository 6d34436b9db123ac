"""A trial's end of its node's meter. The trial outlives the meter: from then on its energy is unmeasured."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from tune_kd.meter.actor import meter_name
from tune_kd.meter.energy import Energy
from tune_kd.meter.node import TrialEnergy
from tune_kd.meter.pace import Pace

MOST_TIMEOUTS = 3
"""So many answers in a row that do not come, and the meter is not asked again."""

CLOSE_S = 5.0
"""The longest that the end of an account is waited for: an ending trial must not be held up."""


class TrialMeter:
    """Energy of this process and its children since construction, from the meter of the node it runs on.

    ``trial`` names one attempt, ``run`` the run that it belongs to; ``cpus`` and ``gpus`` (share by device id) are its
    reservations, ``spare`` says that it also computes with CPUs that nobody has reserved. ``others`` are attempts that
    this process trains side by side with it, each with an equal share of the energy: :attr:`members` has the meter of
    each. Nothing here raises or hangs because of the meter. A mark without an answer within ``timeout_s`` is
    unmeasured. The next one includes its energy, as accounts are cumulative. After three in a row, or if the meter
    dies, all further marks are unmeasured. ``failure`` is the reason for the last one. ``wait_s`` is the time to wait
    for a meter that the driver may be about to start.
    """

    def __init__(
        self,
        trial: str,
        *,
        cpus: float,
        gpus: Mapping[str, float] | None = None,
        run: str | None = None,
        spare: bool = False,
        others: Sequence[str] = (),
        timeout_s: float = 15.0,
        wait_s: float = 0.0,
    ) -> None:
        self._trials = (trial, *others)
        self._timeout_s = timeout_s
        self.latest = [TrialEnergy(energy=Energy(), co_tenants=0)] * len(self._trials)  # of each trial
        self.marks = 0
        self.members = [MemberMeter(self, place) for place in range(len(self._trials))]
        self._closed = False
        self._timeouts = 0  # in a row
        self._gone = False
        self.failure: str | None = None
        node_id = ray.get_runtime_context().get_node_id()
        try:
            self._actor: Any = find_actor(meter_name(node_id), wait_s)
            if self._actor is None:
                raise ValueError(f"there is no {meter_name(node_id)}")
            # Not waited for: calls of one caller arrive in order, so that the first mark comes after it.
            reserved = cpus, dict(gpus or {}), run, spare
            self._registered: Any = self._actor.register.remote(self._trials, os.getpid(), *reserved)
        except (ValueError, RayError) as error:
            self._gone = True
            self._fail(error)

    @property
    def co_tenants(self) -> int:
        """The most trials that were on the node with this one, as of the last mark."""
        return self.latest[0].co_tenants

    @property
    def pace(self) -> Pace:
        """How busy the node was for it, as of the last mark."""
        return self.latest[0].pace

    def mark(self) -> Energy:
        """Energy since construction; cumulative, with joules of 0 or more. Unmeasured if ``failure`` has a reason."""
        if not self._closed:
            self._call("mark", self._timeout_s)
        self.marks += 1
        return self.latest[0].energy

    def close(self) -> Energy:
        """End the account and return its energy. Later marks return the same."""
        if not self._closed:
            self._call("unregister", min(self._timeout_s, CLOSE_S))
        self._closed = True
        return self.latest[0].energy

    def close_member(self, place: int) -> None:
        """End the account of one of the trials; the others pay from now on. Not waited for."""
        if not self._gone:
            self._actor.unregister.remote([self._trials[place]])

    def _call(self, method: str, timeout_s: float) -> None:
        if self._gone:
            return
        try:
            if self._registered is not None:
                ray.get(self._registered, timeout=timeout_s)
                self._registered = None
            self.latest = ray.get(getattr(self._actor, method).remote(self._trials), timeout=timeout_s)
            self._timeouts, self.failure = 0, None
        except GetTimeoutError as error:
            self._timeouts += 1
            self._gone = self._timeouts >= MOST_TIMEOUTS
            self._fail(error)
        except RayError as error:
            self._gone = True
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.failure = str(error).strip().rpartition("\n")[2] or type(error).__name__
        self.latest = [TrialEnergy(energy=Energy(), co_tenants=known.co_tenants) for known in self.latest]


class MemberMeter:
    """The meter of one of the trials that a process trains side by side.

    The first of them that asks has all of them marked: the mark that the others read is of the same moment.
    """

    def __init__(self, whole: TrialMeter, place: int) -> None:
        self._whole, self._place = whole, place
        self._read = 0

    @property
    def co_tenants(self) -> int:
        """As of the last mark."""
        return self._whole.latest[self._place].co_tenants

    @property
    def pace(self) -> Pace:
        """As of the last mark."""
        return self._whole.latest[self._place].pace

    def mark(self) -> Energy:
        """As :meth:`TrialMeter.mark`."""
        if self._read == self._whole.marks:
            self._whole.mark()
        self._read = self._whole.marks
        return self._whole.latest[self._place].energy

    def close(self) -> None:
        """End the account: the others pay from now on."""
        self._whole.close_member(self._place)


def find_actor(name: str, wait_s: float = 0.0) -> Any | None:
    """The actor of this name, waited for at most ``wait_s``; None if there is none."""
    until_s = time.monotonic() + wait_s
    while True:
        try:
            return ray.get_actor(name)
        except ValueError:
            if time.monotonic() >= until_s:
                return None
            time.sleep(0.1)


def account(trial_id: str, attempt: int) -> str:
    """The name under which the node meter keeps an attempt's energy."""
    return f"{trial_id} attempt {attempt}"
