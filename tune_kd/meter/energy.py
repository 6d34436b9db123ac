"""Energy by component, in joules, with the method that it was found by."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

METHODS = ("counter", "sampled", "model", "mixed")
COMPONENTS = ("cpu_j", "gpu_j", "ram_j", "idle_j")


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Joules of one trial, one interval or one node; ``Energy()`` is "nothing was measured".

    ``cpu_j`` and ``gpu_j`` are dynamic energy, above idle. ``idle_j`` is the share of CPU and GPU
    idle energy that was reserved, ``ram_j`` the share of the RAM. ``None`` means "not measured", never 0.
    ``method`` is ``counter`` (a hardware energy counter), ``sampled`` (power, integrated), ``model`` or ``mixed``.
    """

    cpu_j: float | None = None
    gpu_j: float | None = None
    ram_j: float | None = None
    idle_j: float | None = None
    method: str | None = None

    def __post_init__(self) -> None:
        for name in COMPONENTS:
            joules = getattr(self, name)
            if joules is not None and not math.isfinite(joules):
                raise ValueError(f"{name} must be finite or None, got {joules}")
        if self.method is not None and self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)} or None, got {self.method!r}")
        if (self.method is None) != (self.total_j is None):
            raise ValueError(f"a method goes with joules and joules with a method, got {self}")

    @property
    def total_j(self) -> float | None:
        """The sum of the known components; None if none is known."""
        known = [joules for name in COMPONENTS if (joules := getattr(self, name)) is not None]
        return math.fsum(known) if known else None

    def __add__(self, other: Energy) -> Energy:
        """The sum of both. A component that one of them lacks is the other's."""
        sums = {name: _add(getattr(self, name), getattr(other, name)) for name in COMPONENTS}
        return Energy(**sums, method=combined(self.method, other.method))

    def __sub__(self, earlier: Energy) -> Energy:
        """The energy between two marks of a cumulative meter. Unknown at one of them is unknown between them."""
        differences = {name: _subtract(getattr(self, name), getattr(earlier, name)) for name in COMPONENTS}
        known = any(joules is not None for joules in differences.values())
        return Energy(**differences, method=combined(self.method, earlier.method) if known else None)

    def columns(self) -> dict[str, Any]:
        """As columns of reports and trials."""
        return {
            "energy_j": self.total_j,
            "energy_cpu_j": self.cpu_j,
            "energy_gpu_j": self.gpu_j,
            "energy_ram_j": self.ram_j,
            "energy_idle_j": self.idle_j,
            "energy_method": self.method,
        }

    def scaled(self, factor: float) -> Energy:
        """Every component times ``factor``."""
        scaled = {name: None if (joules := getattr(self, name)) is None else joules * factor for name in COMPONENTS}
        return dataclasses.replace(self, **scaled)


def combined(*methods: str | None) -> str | None:
    """The method of a sum of figures with these methods."""
    distinct = {method for method in methods if method is not None}
    return "mixed" if len(distinct) > 1 else next(iter(distinct), None)


def _add(first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second


def _subtract(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else later - earlier
