"""Tree-structured Parzen estimator (Bergstra et al. 2011), by Optuna.

Across trials: τ suggested by a model of validation accuracy given τ, after ``startup`` random trials.
Within a trial: constant τ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from policies.modelled import Modelled, optuna_search

if TYPE_CHECKING:
    from ray.tune.search import Searcher

    from search_spaces import Space


@dataclass(frozen=True, kw_only=True)
class TPE(Modelled):
    """Optuna's TPE over the space."""

    name: ClassVar[str] = "tpe"

    def searcher(self, space: Space, seed: int) -> Searcher:
        from optuna.samplers import TPESampler

        return optuna_search(space, TPESampler(seed=seed, n_startup_trials=self.startup), self.lag)
