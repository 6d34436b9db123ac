"""Tests of paired differences, vectorised: the last axis holds the pairs' replicates, the others whatever is asked.

The formulas are those of scipy's ``ttest_rel`` and statsmodels' ``ttost_paired`` and ``multipletests(method="holm")``,
which the tests hold them to; written out here because the calibration needs them for thousands of stores at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from scipy.special import nctdtr, stdtr, stdtrit

LEVEL = 0.05
VERDICTS = ("inconclusive", "better", "worse", "equivalent")
INCONCLUSIVE, BETTER, WORSE, EQUIVALENT = range(4)


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Differences of pairs; every field has the shape of the input without its last axis, NaN where n < 2."""

    n: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray  # t interval, of 95 % unless asked; NaN where no two differences differ
    high: np.ndarray
    p_difference: np.ndarray  # two-sided t test of no difference
    p_equivalence: np.ndarray  # TOST of a difference of the margin or more; NaN without a margin


def paired(differences: np.ndarray, margin: float | None, *, level: float = LEVEL) -> Paired:
    """``differences`` [..., n] of pairs, NaN where one of a pair is missing; ``margin`` in the same unit.

    The interval misses the true difference with the probability ``level``.
    Without any spread between replicates there is nothing to test against: the interval and the p values are NaN.
    """
    n = np.sum(~np.isnan(differences), axis=-1)
    total = np.nansum(differences, axis=-1)
    mean = np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0)
    squares = np.nansum((differences - mean[..., None]) ** 2, axis=-1)
    std = np.sqrt(np.divide(squares, n - 1, out=np.full(n.shape, np.nan), where=n > 1))
    # Equal differences leave rounding errors, not 0.
    std = np.where(std <= 1e-12 * np.maximum(np.abs(mean), 1e-12), 0.0, std)
    error, freedom = std / np.sqrt(np.maximum(n, 1)), np.maximum(n - 1, 1)
    half = np.where(error > 0, stdtrit(freedom, 1 - level / 2) * error, np.nan)
    p_difference = 2 * stdtr(freedom, -np.abs(_ratio(mean, error)))
    p_equivalence = np.full(n.shape, np.nan)
    if margin is not None and not np.isnan(margin):
        p_equivalence = stdtr(freedom, _ratio(np.abs(mean) - margin, error))
    return Paired(
        n=n,
        mean=mean,
        std=std,
        low=mean - half,
        high=mean + half,
        p_difference=p_difference,
        p_equivalence=p_equivalence,
    )


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's adjusted p values over the last axis; NaN stays NaN and counts as no test."""
    order = np.argsort(p_values, axis=-1)  # NaN last
    ascending = np.take_along_axis(p_values, order, axis=-1)
    tests = np.sum(~np.isnan(p_values), axis=-1, keepdims=True)
    scaled = ascending * (tests - np.arange(p_values.shape[-1]))
    adjusted = np.minimum(np.fmax.accumulate(scaled, axis=-1), 1.0)
    adjusted = np.where(np.isnan(ascending), np.nan, adjusted)
    result = np.empty_like(adjusted)
    np.put_along_axis(result, order, adjusted, axis=-1)
    return result


class Tested(Protocol):
    """Differences that were tested, of pairs or of independent samples."""

    @property
    def mean(self) -> np.ndarray: ...

    @property
    def p_difference(self) -> np.ndarray: ...

    @property
    def p_equivalence(self) -> np.ndarray: ...


def verdicts(differences: Tested, level: float = LEVEL) -> np.ndarray:
    """Codes of ``VERDICTS`` for pairs on the last axis, which is one family for Holm in each of the two questions.

    Equivalent goes first: a difference that is real but smaller than the margin does not matter.
    """
    different = holm(differences.p_difference) < level
    equivalent = holm(differences.p_equivalence) < level
    side = np.where(differences.mean > 0, BETTER, WORSE)
    return np.where(equivalent, EQUIVALENT, np.where(different, side, INCONCLUSIVE))


@lru_cache(4096)  # several tables of a report ask for the same pairs
def replicates_needed(
    mean: float, std: float, margin: float | None, *, tests: int = 1, power: float = 0.8, most: int = 1000
) -> int | None:
    """The fewest replicates with which one of the verdicts but inconclusive comes with ``power``, were the difference
    really ``mean`` and the paired standard deviation really ``std``; None where that takes more than ``most``.

    Holm's first step over ``tests`` pairs is charged to both questions, so this errs on the side of too many.
    """
    if not np.isfinite(mean) or not np.isfinite(std) or std <= 0:
        return None
    n = np.arange(2, most + 1)
    freedom, root = n - 1, np.sqrt(n)
    limit = stdtrit(freedom, 1 - LEVEL / tests / 2)
    chance = 1 - nctdtr(freedom, root * abs(mean) / std, limit)
    if margin is not None and abs(mean) < margin:
        limit = stdtrit(freedom, 1 - LEVEL / tests)
        misses = [nctdtr(freedom, root * (margin + sign * abs(mean)) / std, limit) for sign in (-1, 1)]
        chance = np.fmax(chance, 1 - misses[0] - misses[1])
    enough = np.flatnonzero(chance >= power)
    return int(n[enough[0]]) if len(enough) else None


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)
