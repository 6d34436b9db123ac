"""Expected improvement per joule (EI per second in Snoek et al. 2012; here the cost is energy).

Across trials: τ where one Gaussian process's expected improvement of validation accuracy, divided by the energy that
another one predicts, is largest, after ``startup`` random trials. Of equally promising values the cheaper is tried.
Within a trial: constant τ.

A trial's cost is what it had used at its last report, all attempts together: joules where every trial so far has them
(read from a counter or modelled, see ``energy_method`` in the store), else FLOPs. Joules differ from run to run, so in
a space where all trials cost the same they are noise, and only runs that measure the same repeat to the last trial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from policies.modelled import Modelled

if TYPE_CHECKING:
    from ray.tune.search import Searcher

    from search_spaces import Space


@dataclass(frozen=True, kw_only=True)
class CostAware(Modelled):
    """A Gaussian process on accuracy and one on the logarithm of cost."""

    name: ClassVar[str] = "cost-aware"
    startup: int = 5  # random trials before the models are asked

    def searcher(self, space: Space, seed: int) -> Searcher:
        from policies.improvement import ImprovementPerCost
        from policies.searchers import Lagged

        return Lagged(ImprovementPerCost(space, seed, self.startup), self.lag)
