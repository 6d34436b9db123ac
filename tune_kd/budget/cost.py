"""What it cost to ask the teacher once for all trials of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PassCost:
    """What it cost to ask the teacher; None where it was not measured."""

    flops: int = 0
    duration_s: float = 0.0
    energy_j: float | None = 0.0
    co2e_g: float | None = 0.0

    def __add__(self, other: PassCost) -> PassCost:
        return PassCost(
            flops=self.flops + other.flops,
            duration_s=self.duration_s + other.duration_s,
            energy_j=_sum(self.energy_j, other.energy_j),
            co2e_g=_sum(self.co2e_g, other.co2e_g),
        )

    def __truediv__(self, parts: int) -> PassCost:
        return PassCost(
            flops=self.flops // parts,
            duration_s=self.duration_s / parts,
            energy_j=None if self.energy_j is None else self.energy_j / parts,
            co2e_g=None if self.co2e_g is None else self.co2e_g / parts,
        )

    def columns(self) -> dict[str, Any]:
        """As columns of ``runs``."""
        return {
            "shared_flops": self.flops,
            "shared_s": self.duration_s,
            "shared_energy_j": self.energy_j,
            "shared_co2e_g": self.co2e_g,
        }


def recorded_cost(row: Mapping[str, Any]) -> PassCost | None:
    """What a row of ``runs`` was charged; None where nothing was shared yet."""
    if row.get("shared_flops") is None:
        return None
    return PassCost(
        flops=int(row["shared_flops"]),
        duration_s=row["shared_s"],
        energy_j=row["shared_energy_j"],
        co2e_g=row["shared_co2e_g"],
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
