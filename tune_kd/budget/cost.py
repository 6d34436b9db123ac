"""What it cost to make what the trials of a run share: the teacher's outputs, or a pool of synthesised images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What something cost; None where it was not measured. ``own_pace_j`` is its energy at its own pace."""

    flops: int = 0
    duration_s: float = 0.0
    energy_j: float | None = 0.0
    co2e_g: float | None = 0.0
    own_pace_j: float | None = 0.0

    @classmethod
    def kept(cls, state: Mapping[str, Any]) -> Cost:
        """The cost that a file keeps. Older versions knew of no own pace."""
        return cls(**{"own_pace_j": None, **state})

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            flops=self.flops + other.flops,
            duration_s=self.duration_s + other.duration_s,
            energy_j=_sum(self.energy_j, other.energy_j),
            co2e_g=_sum(self.co2e_g, other.co2e_g),
            own_pace_j=_sum(self.own_pace_j, other.own_pace_j),
        )

    def __truediv__(self, parts: int) -> Cost:
        return Cost(
            flops=self.flops // parts,
            duration_s=self.duration_s / parts,
            energy_j=None if self.energy_j is None else self.energy_j / parts,
            co2e_g=None if self.co2e_g is None else self.co2e_g / parts,
            own_pace_j=None if self.own_pace_j is None else self.own_pace_j / parts,
        )

    def columns(self, what: str) -> dict[str, Any]:
        """As columns of ``runs``, those of ``what``: of teacher outputs that are ``shared``, or of a ``pool``."""
        return {
            f"{what}_flops": self.flops,
            f"{what}_s": self.duration_s,
            f"{what}_energy_j": self.energy_j,
            f"{what}_energy_own_pace_j": self.own_pace_j,
            f"{what}_co2e_g": self.co2e_g,
        }


def recorded_cost(row: Mapping[str, Any], what: str) -> Cost | None:
    """What a row of ``runs`` says that ``what`` has cost; None where it says nothing."""
    if row.get(f"{what}_flops") is None:
        return None
    return Cost(
        flops=int(row[f"{what}_flops"]),
        duration_s=row[f"{what}_s"],
        energy_j=row[f"{what}_energy_j"],
        co2e_g=row[f"{what}_co2e_g"],
        own_pace_j=row.get(f"{what}_energy_own_pace_j"),
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
