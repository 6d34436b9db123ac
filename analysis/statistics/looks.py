"""Verdicts of a comparison that looks at its replicates several times, and stops where it is decided.

Every look has a level that was fixed beforehand, so each of its tests is an exact t test, and the errors of all looks
together stay within the sum of their levels whatever was stopped before (Bonferroni). Within a look Holm goes over the
policies, in each of the two questions. A policy that a question has decided is no longer in that question's family at
later looks; one that the other question has decided stays in it, untested. This is the shortcut of the closed test
whose intersections split the level over looks, and evenly over policies (Maurer and Bretz, Statistics in
Biopharmaceutical Research 2013): the error rates of a single look's Holm hold over all looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics.paired import BETTER, EQUIVALENT, INCONCLUSIVE, WORSE, Paired, holm, paired

UNDECIDED = -1


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at the policies' differences to the reference; the fields have the shape [..., policies]."""

    tests: Paired  # the intervals are at this look's own level: those of all looks hold together
    p_difference: np.ndarray  # adjusted over policies and looks; NaN where the question is decided
    p_equivalence: np.ndarray
    verdict: np.ndarray  # a code of VERDICTS: what fell now, INCONCLUSIVE for what fell before


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What the looks came to for each policy; the fields have the shape [..., policies]."""

    verdict: np.ndarray  # a code of VERDICTS
    look: np.ndarray  # the index of the look at which it fell; UNDECIDED where none did
    taken: tuple[Look, ...]


def decide(differences: np.ndarray, margin: float, looks: Sequence[int], levels: Sequence[float]) -> Decided:
    """The verdicts on policies by their ``differences`` to the reference, [..., policies, replicates], NaN if missing.

    ``looks`` are the numbers of replicates of all looks that were planned, ascending, and ``levels`` the level of each.
    Looks with more replicates than there are have not been taken yet. ``margin`` is in the unit of the differences.
    """
    shape, of_all = differences.shape[:-1], math.fsum(levels)
    verdict, look, taken = np.full(shape, INCONCLUSIVE), np.full(shape, UNDECIDED), list[Look]()
    for place, (replicates, level) in enumerate(zip(looks, levels, strict=True)):
        if replicates > differences.shape[-1]:
            break
        taken.append(_look(differences[..., :replicates], verdict, margin, level, of_all))
        fell = taken[-1].verdict != INCONCLUSIVE
        verdict, look = np.where(fell, taken[-1].verdict, verdict), np.where(fell, place, look)
    return Decided(verdict=verdict, look=look, taken=tuple(taken))


def _look(differences: np.ndarray, before: np.ndarray, margin: float, level: float, of_all: float) -> Look:
    """One look at its ``level`` out of that ``of_all`` looks, before which policies have the verdicts ``before``."""
    tests, open_yet, part = paired(differences, margin, level=level), before == INCONCLUSIVE, level / of_all
    fell_as_different = (before == BETTER) | (before == WORSE)
    p_difference = _adjusted(tests.p_difference, open_yet, decided=fell_as_different, part=part)
    p_equivalence = _adjusted(tests.p_equivalence, open_yet, decided=before == EQUIVALENT, part=part)
    side = np.where(tests.mean > 0, BETTER, WORSE)
    found = np.where(p_equivalence < of_all, EQUIVALENT, np.where(p_difference < of_all, side, INCONCLUSIVE))
    return Look(tests=tests, p_difference=p_difference, p_equivalence=p_equivalence, verdict=found)


def _adjusted(p_values: np.ndarray, open_yet: np.ndarray, *, decided: np.ndarray, part: float) -> np.ndarray:
    """Holm's adjusted p values of one question, over a look's part of the level; ``decided`` ones do not count."""
    # What the other question has decided, and what has no spread, is not tested: it keeps its part of the level.
    tested = open_yet & ~np.isnan(p_values)
    family = np.where(decided, np.nan, np.where(tested, p_values, 1.0))
    return np.minimum(holm(family) / part, 1.0)
