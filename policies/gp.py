"""Bayesian optimisation by a Gaussian process (Snoek et al. 2012), by Optuna: Matérn 5/2, log expected improvement.

Across trials: τ where validation accuracy is expected to improve most, after ``startup`` random trials.
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
class GP(Modelled):
    """Optuna's Gaussian process over the space; it learns how noisy the trials are."""

    name: ClassVar[str] = "gp"

    def searcher(self, space: Space, seed: int) -> Searcher:
        from optuna.samplers import GPSampler

        return optuna_search(space, GPSampler(seed=seed, n_startup_trials=self.startup), self.lag)
