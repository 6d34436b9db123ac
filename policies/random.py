"""Random search (Bergstra & Bengio 2012).

Across trials: τ drawn uniformly from the space, independently for each trial.
Within a trial: constant τ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random as Generator
from typing import TYPE_CHECKING, ClassVar

from policies.base import Constant, Policy, Temperature

if TYPE_CHECKING:
    from ray.tune.search import Searcher

    from search_spaces import Space


@dataclass(frozen=True, kw_only=True)
class Random(Policy):
    """Independent uniform draws."""

    name: ClassVar[str] = "random"

    def native_trials(self, space: Space) -> None:
        return None

    def searcher(self, space: Space, seed: int) -> Searcher:
        from policies.searchers import Sequence

        return Sequence(draws(space, seed))

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Constant(params["tau"])


def draws(space: Space, seed: int) -> Iterator[dict[str, float]]:
    """Uniform draws of the whole space, for ever."""
    generator = Generator(seed)
    while True:
        yield space.sample(generator)
