"""Grid search: the paper's way of tuning τ, and the reference for the others.

Across trials: every level of the space once, in order (τ = 2..20 is 19 trainings).
Within a trial: constant τ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from policies.base import Constant, Policy, Temperature

if TYPE_CHECKING:
    from ray.tune.search import Searcher

    from search_spaces import Space


@dataclass(frozen=True, kw_only=True)
class Grid(Policy):
    """Every combination of the space's levels."""

    name: ClassVar[str] = "grid"

    def native_trials(self, space: Space) -> int:
        return math.prod(len(dimension.levels()) for dimension in space.dimensions.values())

    def searcher(self, space: Space, seed: int) -> Searcher:
        from policies.searchers import Sequence

        return Sequence(space.grid())

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Constant(params["tau"])
