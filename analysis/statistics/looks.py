"""Verdicts of a comparison that looks at its replicates several times, and stops where it is decided.

Every look takes an equal part of the level, so each of its tests is an exact t test, and the errors of all looks
together stay within the level whatever was stopped before (Bonferroni). Within a look Holm goes over the policies, in
each of the two questions. A policy that a question has decided is no longer in that question's family at later looks;
one that the other question has decided stays in it, untested. This is the shortcut of the closed test whose
intersections split the level evenly over looks and policies (Maurer and Bretz, Statistics in Biopharmaceutical
Research 2013): the error rates of a single look's Holm hold over all looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics.paired import BETTER, EQUIVALENT, INCONCLUSIVE, LEVEL, WORSE, Paired, holm, paired

UNDECIDED = -1


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at the policies' differences to the reference; the fields have the shape [..., policies]."""

    tests: Paired  # the intervals are at this look's own part of the level: those of all looks hold together
    p_difference: np.ndarray  # adjusted over policies and looks; NaN where the question is decided
    p_equivalence: np.ndarray
    verdict: np.ndarray  # a code of VERDICTS: what fell now, INCONCLUSIVE for what fell before


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What the looks came to for each policy; the fields have the shape [..., policies]."""

    verdict: np.ndarray  # a code of VERDICTS
    look: np.ndarray  # the index of the look at which it fell; UNDECIDED where none did
    taken: tuple[Look, ...]


def decide(differences: np.ndarray, margin: float, looks: Sequence[int], *, level: float = LEVEL) -> Decided:
    """The verdicts on policies by their ``differences`` to the reference, [..., policies, replicates], NaN if missing.

    ``looks`` are the numbers of replicates of all looks that were planned, ascending. Those with more replicates than
    there are have not been taken yet. ``margin`` is in the unit of the differences.
    """
    shape = differences.shape[:-1]
    verdict, look, taken = np.full(shape, INCONCLUSIVE), np.full(shape, UNDECIDED), list[Look]()
    for place, replicates in enumerate(looks):
        if replicates > differences.shape[-1]:
            break
        taken.append(_look(differences[..., :replicates], verdict, margin, len(looks), level))
        fell = taken[-1].verdict != INCONCLUSIVE
        verdict, look = np.where(fell, taken[-1].verdict, verdict), np.where(fell, place, look)
    return Decided(verdict=verdict, look=look, taken=tuple(taken))


def _look(differences: np.ndarray, before: np.ndarray, margin: float, looks: int, level: float) -> Look:
    """One of so many ``looks``, after which policies have the verdicts ``before``."""
    tests, open_yet = paired(differences, margin, level=level / looks), before == INCONCLUSIVE
    fell_as_different = (before == BETTER) | (before == WORSE)
    p_difference = _adjusted(tests.p_difference, open_yet, decided=fell_as_different, looks=looks)
    p_equivalence = _adjusted(tests.p_equivalence, open_yet, decided=before == EQUIVALENT, looks=looks)
    side = np.where(tests.mean > 0, BETTER, WORSE)
    found = np.where(p_equivalence < level, EQUIVALENT, np.where(p_difference < level, side, INCONCLUSIVE))
    return Look(tests=tests, p_difference=p_difference, p_equivalence=p_equivalence, verdict=found)


def _adjusted(p_values: np.ndarray, open_yet: np.ndarray, *, decided: np.ndarray, looks: int) -> np.ndarray:
    """Holm's adjusted p values of one question, times the looks; ``decided`` ones are no longer in its family."""
    # What the other question has decided, and what has no spread, is not tested: it keeps its part of the level.
    tested = open_yet & ~np.isnan(p_values)
    family = np.where(decided, np.nan, np.where(tested, p_values, 1.0))
    return np.minimum(looks * holm(family), 1.0)
