"""What a trial would have taken undisturbed: the same work, without the time that it waited.

RAM and idle power are charged by the hour. A trial that somebody slows down therefore costs more, though it does the
same. Its energy at its own pace has the modelled part of that for the undisturbed time alone. What a counter has
measured stays as it is.

A trial on CPUs alone is undisturbed while its busiest thread runs. It also waits for its driver and its meter, which
strangers slow down just as well; nothing tells by how much, so all of that is left out, on a calm machine, too. A
trial on a GPU waits for the GPU: of it only the time is left out in which a thread was ready and had no CPU.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tune_kd.meter.attribution import Interval, Use
from tune_kd.meter.energy import Energy, combined

METHODS = ("counter", "run-time", "run-queue", "cpu-time", "mixed")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How busy the node was for one trial, in seconds, and the trial's energy at its own pace; None: unknown.

    ``metered_s`` is the time that it was metered, ``cpu_s`` are its CPU seconds. ``wait_s`` is the time that its
    slowest thread was ready to run and had no CPU; ``wait_other_s`` the part of it that programs which are no trials
    here took. ``other_cpu_s`` are the CPU seconds of those meanwhile. ``method`` is how the undisturbed time was
    found: ``run-time`` (that of the busiest thread), ``run-queue`` (on a GPU: without ``wait_s``), ``cpu-time`` (CPU
    seconds over reserved CPUs), ``counter`` (no energy is modelled by the hour) or ``mixed``.
    """

    metered_s: float | None = None
    cpu_s: float | None = None
    wait_s: float | None = None
    wait_other_s: float | None = None
    other_cpu_s: float | None = None
    own_j: float | None = None
    method: str | None = None

    def __add__(self, other: Pace) -> Pace:
        """The sum over two intervals. Unknown in one of them is unknown in both."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "method"]
        sums = {name: _sum(getattr(self, name), getattr(other, name)) for name in names}
        return Pace(**sums, method=None if sums["own_j"] is None else combined(self.method, other.method))

    def divided(self, trials: int) -> Pace:
        """That of each of so many trials that one process trains side by side: its times, and a share of its joules."""
        own_j, cpu_s = (None if value is None else value / trials for value in (self.own_j, self.cpu_s))
        return dataclasses.replace(self, own_j=own_j, cpu_s=cpu_s)

    def columns(self) -> dict[str, Any]:
        """As columns of reports and trials."""
        return {
            "metered_s": self.metered_s,
            "cpu_s": self.cpu_s,
            "cpu_wait_s": self.wait_s,
            "cpu_wait_other_s": self.wait_other_s,
            "cpu_other_s": self.other_cpu_s,
            "energy_own_pace_j": self.own_j,
            "own_pace_method": self.method,
        }


AT_REST = Pace(metered_s=0.0, cpu_s=0.0, wait_s=0.0, wait_other_s=0.0, other_cpu_s=0.0, own_j=0.0)
"""That of a trial which has just begun."""


def paces(
    interval: Interval, uses: Mapping[str, Use], paid: Mapping[str, Energy], by_the_hour: Mapping[str, float] | None
) -> dict[str, Pace]:
    """The pace of each trial in an interval.

    ``paid`` is its energy, ``by_the_hour`` the modelled joules of RAM and idle in it; None where none are modelled.
    """
    trials_s = math.fsum(use.cpu_s for use in uses.values())
    other_s = max(0.0, interval.busy_s - trials_s)
    return {
        name: pace(
            interval.duration_s,
            use,
            paid[name],
            None if by_the_hour is None else by_the_hour[name],
            other_cpu_s=other_s,
            siblings_cpu_s=trials_s - use.cpu_s,
        )
        for name, use in uses.items()
    }


def pace(
    duration_s: float,
    use: Use,
    energy: Energy,
    by_the_hour_j: float | None,
    *,
    other_cpu_s: float = 0.0,
    siblings_cpu_s: float = 0.0,
) -> Pace:
    """The pace of one trial that had ``energy``, ``by_the_hour_j`` of it by the hour, or nothing (None).

    Its wait goes to whoever had the CPUs meanwhile, by their CPU seconds: other trials, and programs that are none.
    """
    wait_s = None if use.threads is None else min(use.threads.wait_s, duration_s)
    taken_s = siblings_cpu_s + other_cpu_s
    lost, method = (0.0, "counter") if by_the_hour_j is None else _lost(duration_s, use)
    total_j = energy.total_j
    return Pace(
        metered_s=duration_s,
        cpu_s=use.cpu_s,
        wait_s=wait_s,
        wait_other_s=None if wait_s is None else wait_s * (other_cpu_s / taken_s) if taken_s > 0 else 0.0,
        other_cpu_s=other_cpu_s,
        own_j=None if total_j is None or lost is None else total_j - (by_the_hour_j or 0.0) * lost,
        method=method,
    )


def _lost(duration_s: float, use: Use) -> tuple[float | None, str | None]:
    """The share of an interval by which a trial was prolonged, and how that is known."""
    if duration_s <= 0:
        return 0.0, None
    if use.gpu_shares:
        return (None, None) if use.threads is None else (min(1.0, use.threads.wait_s / duration_s), "run-queue")
    if use.threads is not None:
        return max(0.0, 1 - use.threads.run_s / duration_s), "run-time"
    reserved_s = use.cpus * duration_s
    return max(0.0, 1 - use.cpu_s / reserved_s) if reserved_s else 0.0, "cpu-time"


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
