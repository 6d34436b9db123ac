"""A search space: named dimensions, each an interval with or without a step."""

from __future__ import annotations

import itertools
import math
import random
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


class SpaceError(ValueError):
    """A space that cannot be searched. Its text is one line."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """The values from ``low`` to ``high``, both included, in steps of ``step``; continuous without a step."""

    low: float
    high: float
    step: float | None = None

    def __post_init__(self) -> None:
        for bound in ("low", "high", "step"):
            value = getattr(self, bound)
            if value is None and bound == "step":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise SpaceError(f"{bound} must be a finite number, got {value!r}")
        if self.low > self.high:
            raise SpaceError(f"low must be ≤ high, got {self.low} and {self.high}")
        if self.step is not None and self.step <= 0:
            raise SpaceError(f"step must be > 0, got {self.step}")

    def levels(self) -> list[float]:
        """Every value of a stepped dimension, ascending. Raises SpaceError for a continuous one."""
        if self.step is None:
            raise SpaceError(f"the interval [{self.low}, {self.high}] has no step, so it has no levels")
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return [round(self.low + index * self.step, 12) for index in range(count)]

    def sample(self, rng: random.Random) -> float:
        """A uniform draw: one of the levels, or a real of the interval."""
        return rng.uniform(self.low, self.high) if self.step is None else rng.choice(self.levels())


@dataclass(frozen=True, kw_only=True)
class Space:
    """Named dimensions. ``tau``, the temperature, is always one of them and is always > 0."""

    name: str
    dimensions: Mapping[str, Dimension]

    def __post_init__(self) -> None:
        if "tau" not in self.dimensions:
            raise SpaceError(f"space {self.name!r} has no dimension 'tau', only {sorted(self.dimensions)}")
        unknown = set(self.dimensions) - {"tau", "alpha"}
        if unknown:
            raise SpaceError(f"space {self.name!r}: unknown dimension {min(unknown)!r}; choices: alpha, tau")
        tau, alpha = self.dimensions["tau"], self.dimensions.get("alpha")
        if tau.low <= 0:
            raise SpaceError(f"space {self.name!r}: τ must be > 0, got low = {tau.low}")
        if alpha is not None and not 0 <= alpha.low <= alpha.high <= 1:
            raise SpaceError(f"space {self.name!r}: α must be within [0, 1], got [{alpha.low}, {alpha.high}]")

    @property
    def tau(self) -> Dimension:
        return self.dimensions["tau"]

    def grid(self) -> Iterator[dict[str, float]]:
        """Every combination of levels; the last dimension moves fastest."""
        names = list(self.dimensions)
        for values in itertools.product(*(self.dimensions[name].levels() for name in names)):
            yield dict(zip(names, values, strict=True))

    def sample(self, rng: random.Random) -> dict[str, float]:
        """One uniform draw of every dimension."""
        return {name: dimension.sample(rng) for name, dimension in self.dimensions.items()}

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """The record form: ``{"tau": {"low": 2, "high": 20, "step": 1}}``."""
        return {name: {"low": d.low, "high": d.high, "step": d.step} for name, d in self.dimensions.items()}

    @classmethod
    def from_dict(cls, name: str, tables: Mapping[str, Mapping[str, float | None]]) -> Space:
        """The inverse of :meth:`to_dict`. Raises SpaceError, naming the dimension at fault."""
        dimensions = {}
        for key, table in tables.items():
            if not isinstance(table, Mapping):
                raise SpaceError(f"space {name!r}: {key} must be a table with low and high, got {table!r}")
            try:
                dimensions[key] = Dimension(**table)  # type: ignore[arg-type]
            except (TypeError, SpaceError) as error:
                text = str(error).removeprefix("Dimension.__init__() ")
                raise SpaceError(f"space {name!r}, dimension {key!r}: {text}") from error
        return cls(name=name, dimensions=dimensions)


def read_space(path: Path) -> Space:
    """The space of a TOML file, named after the file. Raises SpaceError, in one line."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpaceError(f"cannot read the space file {path}: {error}") from error
    return Space.from_dict(path.stem, tables)
