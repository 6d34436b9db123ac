"""The base of searches with a model of validation accuracy.

The first ``startup`` trials are random. The model gets the result of a trial ``lag`` suggestions later, in the order of
the suggestions. If it got results in the order in which trials end, that would depend on the machine's load, and no
seed would repeat it.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from policies.base import Constant, Policy, Temperature

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from ray.tune.search import Searcher

    from search_spaces import Space


@dataclass(frozen=True, kw_only=True)
class Modelled(Policy, ABC):
    """A search by a model, after ``startup`` random trials; within a trial, a constant τ."""

    adapts: ClassVar[bool] = True
    startup: int = 10  # random trials before the model is asked, Optuna's own default
    lag: int = 4  # suggestion i is made from the results of trials 0 … i − lag

    def __post_init__(self) -> None:
        if self.startup < 1 or self.lag < 1:
            raise ValueError(f"startup and lag must be ≥ 1, got startup = {self.startup} and lag = {self.lag}")

    def native_trials(self, space: Space) -> None:
        return None

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Constant(params["tau"])


def optuna_search(space: Space, sampler: BaseSampler, lag: int) -> Searcher:
    """One of Optuna's samplers as a searcher of ``space`` by validation accuracy."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    from policies.searchers import Lagged

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {
        name: optuna.distributions.FloatDistribution(d.low, d.levels()[-1] if d.step else d.high, step=d.step)
        for name, d in space.dimensions.items()
    }
    search = OptunaSearch(space=distributions, metric="val_score", mode="max", sampler=sampler)
    return Lagged(search, lag)
