"""What a trial asks of its meter, whichever it is."""

from __future__ import annotations

from typing import Protocol

from tune_kd.meter.energy import Energy
from tune_kd.meter.pace import Pace


class Meter(Protocol):
    """The meter of a trial, of any kind."""

    def mark(self) -> Energy:
        """The energy since the trial began."""

    @property
    def co_tenants(self) -> int | None:
        """The most trials that shared the node at the same time; None if unknown."""

    @property
    def pace(self) -> Pace:
        """How busy the node was for the trial, as of the last mark."""
