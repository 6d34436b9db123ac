"""What so many replicates can show: the smallest difference that a paired test finds with a given power.

Planned before anything is run, from the spread of paired differences between policies: that of an earlier store, or
that of the paper's scenario, where seeds differ by σ = 0.15 pp and a difference of two by √2 as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ncfdtr, stdtrit

USUAL_SD = 0.0015 * math.sqrt(2)
POWER, ALPHA = 0.8, 0.05


@dataclass(frozen=True, kw_only=True)
class Detectable:
    """Of a paired comparison, fractions of accuracy. None where there are too few replicates for any test."""

    replicates: int
    sd: float  # of paired differences
    difference: float | None  # the smallest true difference that is called one
    margin: float | None  # the smallest margin within which policies of equal accuracy are called equivalent
    equivalence_power: float | None  # of the scenario's own margin, for policies of equal accuracy


def detectable(replicates: int, *, sd: float = USUAL_SD, margin: float, pairs: int = 1) -> Detectable:
    """What ``replicates`` show with 80 % power at a level of 5 %; ``pairs`` policies are compared in so many pairs.

    The difference is what Holm's hardest step finds, at a level of 5 %/pairs. Equivalence is two one-sided tests
    (TOST), where the truth is no difference at all.
    """
    if replicates < 2:
        return Detectable(replicates=replicates, sd=sd, difference=None, margin=None, equivalence_power=None)
    level = ALPHA / max(pairs, 1)
    return Detectable(
        replicates=replicates,
        sd=sd,
        difference=_smallest(lambda effect: difference_power(effect, replicates, level)) * sd,
        margin=_smallest(lambda effect: equivalence_power(effect, replicates, level)) * sd,
        equivalence_power=equivalence_power(margin / sd, replicates, level),
    )


def difference_power(effect: float, replicates: int, alpha: float = ALPHA) -> float:
    """Power of the two-sided paired t test for a true difference of ``effect`` standard deviations.

    By the noncentral F distribution of t², which stays finite where the noncentral t of few replicates does not.
    """
    threshold = float(stdtrit(replicates - 1, 1 - alpha / 2)) ** 2
    return float(1 - ncfdtr(1, replicates - 1, replicates * effect**2, threshold))


def equivalence_power(effect: float, replicates: int, alpha: float = ALPHA) -> float:
    """Power, at the least, of TOST with a margin of ``effect`` standard deviations where the truth is no difference.

    Each of the two one-sided tests is as good as a two-sided one at twice the level, and at most one of them fails.
    """
    return max(0.0, 2 * difference_power(effect, replicates, 2 * alpha) - 1)


def pair_sds(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The spread of each pair of policies that has two replicates: ``sd`` of its paired differences, ``freedom``.

    ``outcomes``: of :func:`analysis.runs.outcomes.run_outcomes`, one scenario. The differences are in test accuracy, as
    fractions; a sample standard deviation has as many degrees of freedom as replicates less one.
    """
    rows = []
    for _, comparison in outcomes[outcomes["counted"]].groupby("comparison"):
        accuracy = comparison.pivot(index="replicate", columns="label", values="test_score")
        for first, second in combinations(accuracy.columns, 2):
            differences = (accuracy[first] - accuracy[second]).dropna().to_numpy(dtype=float)
            if len(differences) > 1:
                rows.append((float(np.std(differences, ddof=1)), len(differences) - 1))
    return pd.DataFrame(rows, columns=["sd", "freedom"], dtype=float)


def paired_sd(outcomes: pd.DataFrame) -> float | None:
    """The standard deviation of :func:`pair_sds` pooled over all pairs; None where there is no pair or no spread."""
    pairs = pair_sds(outcomes)
    squares = float((pairs["sd"] ** 2 * pairs["freedom"]).sum())
    return math.sqrt(squares / pairs["freedom"].sum()) if squares > 0 else None


def _smallest(power: Callable[[float], float], wanted: float = POWER) -> float:
    """The effect, in standard deviations, at which ``power`` reaches what is wanted."""
    high = 1.0
    while power(high) < wanted:
        high *= 2
    return float(brentq(lambda effect: power(effect) - wanted, 0.0, high))
