"""Tree-structured Parzen estimator (Bergstra et al. 2011), by Optuna.

Across trials: τ suggested by a model of validation accuracy given τ, after ``startup`` random trials.
Within a trial: constant τ.

The model learns of a trial ``lag`` suggestions later, in the order of the suggestions: one that learns from
whichever trial ends first would depend on the machine's load, and no seed would repeat it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from policies.base import Constant, Policy, Temperature

if TYPE_CHECKING:
    from ray.tune.search import Searcher

    from search_spaces import Space


@dataclass(frozen=True, kw_only=True)
class TPE(Policy):
    """Optuna's TPE over the space."""

    name: ClassVar[str] = "tpe"
    adapts: ClassVar[bool] = True
    startup: int = 10  # random trials before the model is asked, Optuna's own default
    lag: int = 4  # suggestion i is made from the results of trials 0 … i − lag

    def __post_init__(self) -> None:
        if self.startup < 1 or self.lag < 1:
            raise ValueError(f"startup and lag must be ≥ 1, got startup = {self.startup} and lag = {self.lag}")

    def native_trials(self, space: Space) -> None:
        return None

    def searcher(self, space: Space, seed: int) -> Searcher:
        import optuna
        from ray.tune.search.optuna import OptunaSearch

        from policies.searchers import Lagged

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        distributions = {
            name: optuna.distributions.FloatDistribution(d.low, d.levels()[-1] if d.step else d.high, step=d.step)
            for name, d in space.dimensions.items()
        }
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=self.startup)
        search = OptunaSearch(space=distributions, metric="val_accuracy", mode="max", sampler=sampler)
        return Lagged(search, self.lag)

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Constant(params["tau"])
