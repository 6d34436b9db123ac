"""Expected improvement per cost as a searcher, with scikit-learn's Gaussian processes."""

from __future__ import annotations

import math
import random
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from ray.tune.search import Searcher
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

from search_spaces import Space

MOST_CANDIDATES = 512

Array = NDArray[np.float64]


class Observed(NamedTuple):
    """A trial that ended well."""

    params: dict[str, float]
    accuracy: float
    joules: float | None
    flops: float

    @classmethod
    def of(cls, params: dict[str, float], result: dict[str, Any]) -> Observed:
        """From a trial's last report: ``val_score``, ``energy_j`` (None: not measured), ``flops_executed``."""
        return cls(params, result["val_score"], result.get("energy_j"), result.get("flops_executed", 0.0))


class ImprovementPerCost(Searcher):
    """Suggests the candidate with the largest expected improvement of accuracy per cost; ``startup`` draws first."""

    def __init__(self, space: Space, seed: int, startup: int) -> None:
        super().__init__(metric="val_score", mode="max")
        self._space, self._startup, self._random = space, startup, random.Random(seed)
        self._running: dict[str, dict[str, float]] = {}
        self._observed: list[Observed] = []

    def suggest(self, trial_id: str) -> dict[str, float]:
        if len(self._observed) < self._startup:
            params = self._space.sample(self._random)
        else:
            with threadpool_limits(1):  # matrices of a few dozen rows; the cores belong to the trials
                params = self._best_candidate()
        self._running[trial_id] = params
        return dict(params)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        params = self._running.pop(trial_id)
        if result is not None and not error:
            self._observed.append(Observed.of(params, result))

    def _best_candidate(self) -> dict[str, float]:
        candidates = candidates_of(self._space, self._random)
        x = self._unit([seen.params for seen in self._observed])
        accuracy = Process(x, np.array([seen.accuracy for seen in self._observed]))
        cost = Process(x, np.log(costs(self._observed)))
        incumbent = accuracy.mean(x).max()
        # A trial that still runs is believed to reach what the model expects, so its neighbours promise less.
        accuracy.believe(self._unit(list(self._running.values())))
        at = self._unit(candidates)
        gain = expected_improvement(accuracy.mean(at), accuracy.deviation(at), incumbent)
        return candidates[int(np.argmax(gain / np.exp(cost.mean(at))))]

    def _unit(self, points: list[dict[str, float]]) -> Array:
        """Points as rows of the unit cube, [n, dimensions]."""
        sides = self._space.dimensions
        rows = [[(point[name] - d.low) / ((d.high - d.low) or 1) for name, d in sides.items()] for point in points]
        return np.array(rows, dtype=float).reshape(len(points), len(sides))


def candidates_of(space: Space, generator: random.Random) -> list[dict[str, float]]:
    """Every combination of the space's levels. If there are too many or there are no levels: random draws."""
    sides = space.dimensions.values()
    if all(side.step for side in sides) and math.prod(len(side.levels()) for side in sides) <= MOST_CANDIDATES:
        return list(space.grid())
    return [space.sample(generator) for _ in range(MOST_CANDIDATES)]


def costs(observed: list[Observed]) -> Array:
    """The cost of each trial: joules if all have them, else FLOPs; 1 each if nothing was counted."""
    joules = [seen.joules for seen in observed if seen.joules]
    paid = joules if len(joules) == len(observed) else [seen.flops for seen in observed]
    return np.array(paid) if all(paid) else np.ones(len(observed))


def expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """E[max(f − best, 0)] for f ~ N(mean, deviation²), elementwise (Jones et al. 1998)."""
    sure = deviation <= 0
    z = (mean - best) / np.where(sure, 1, deviation)
    gain: Array = np.where(sure, np.maximum(mean - best, 0), (mean - best) * norm.cdf(z) + deviation * norm.pdf(z))
    return gain


class Process:
    """A Gaussian process, Matérn 5/2 and white noise, through values ``y`` [n] at ``x`` [n, d] of the unit cube."""

    def __init__(self, x: Array, y: Array) -> None:
        self._shift, self._scale = y.mean(), y.std() or 1.0
        self._x, self._z = x, (y - self._shift) / self._scale
        smooth = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(np.full(x.shape[1], 0.3), (5e-2, 5.0), nu=2.5)
        fitted = GaussianProcessRegressor(smooth + WhiteKernel(1e-1, (1e-5, 1e1)))
        with warnings.catch_warnings():
            # A hyperparameter at its bound is no fault: of few trials, or of equal ones, little can be learnt.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.fit(self._x, self._z)
        self._kernel, self._noise = fitted.kernel_.k1, fitted.kernel_.k2.noise_level
        self._condition()

    def mean(self, x: Array) -> Array:
        """The expected values at ``x`` [n, d]; [n], in the unit of y."""
        return self._shift + self._scale * self._fitted.predict(x)

    def deviation(self, x: Array) -> Array:
        """The standard deviation of the function at ``x``, [n], without the noise of a trial."""
        deviation: Array = self._scale * self._fitted.predict(x, return_std=True)[1]
        return deviation

    def believe(self, x: Array) -> None:
        """Take the expected values at ``x`` [n, d] as if they had been observed (Ginsbourger et al. 2010)."""
        if len(x):
            self._z = np.concatenate([self._z, self._fitted.predict(x)])
            self._x = np.concatenate([self._x, x])
            self._condition()

    def _condition(self) -> None:
        """The process given the points, with the hyperparameters as they are."""
        self._fitted = GaussianProcessRegressor(self._kernel, alpha=self._noise, optimizer=None)
        self._fitted.fit(self._x, self._z)
