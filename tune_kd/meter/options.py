"""The options of a command's metering: the rate, and figures in the place of the power model's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tune_kd.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Metering:
    """Options of the node meters. None leaves the power model's own figure."""

    meter_period: float = 1.0  # seconds between two readings of a node
    cpu_watts: float | None = None  # the CPUs of a node at full load
    ram_watts_per_gib: float | None = None
    idle_share: float | None = None  # of cpu_watts, at rest

    def __post_init__(self) -> None:
        if not (math.isfinite(self.meter_period) and self.meter_period >= 0.1):
            raise InputError(f"--meter-period must be ≥ 0.1 s, got {self.meter_period:g}")
        for name, value in self.power().items():
            option = f"--{name.replace('_', '-')}"
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{option} must be a number ≥ 0, got {value:g}")
        if self.idle_share is not None and self.idle_share > 1:
            raise InputError(f"--idle-share must be within [0, 1], got {self.idle_share:g}")

    def power(self) -> dict[str, float]:
        """The given figures, by the names that the power model takes."""
        given = {
            "cpu_watts": self.cpu_watts,
            "ram_watts_per_gib": self.ram_watts_per_gib,
            "idle_share": self.idle_share,
        }
        return {name: value for name, value in given.items() if value is not None}
