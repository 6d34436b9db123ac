"""How many replicates several looks take, beside designs that have the same number for every policy; by simulation."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from analysis.statistics.look_cases import LOOKS, MARGIN, POLICIES, SDS, SHIFTS, noise, usual_truths
from analysis.statistics.look_power import replicates_taken
from analysis.statistics.looks import decide
from analysis.statistics.paired import BETTER, EQUIVALENT, INCONCLUSIVE, LEVEL, paired, verdicts

WIDE = SDS[1:]  # with the least sd everything is decided at the first look
ENOUGH = 0.99  # no design beside ours has to decide more: the last of thousands of stores would set its size
SPLITS = {"even": np.full(len(LOOKS), 1 / len(LOOKS)), "proportional": np.divide(LOOKS, sum(LOOKS))}


def savings(stores: int = 2000) -> pd.DataFrame:
    """One row per number of policies, sd and true difference to the reference: verdicts and replicates.

    Columns: policies, sd, difference (in words); better, equivalent, decided (shares of the policies but the
    reference), decided_by_last (by a fixed design with the last look's replicates); replicates (expected, the mean over
    all policies), of_last (their share of the last look's); the columns of :func:`_beside_fixed`; excess (how much
    larger than the truth the differences are, in margins, where they are called better).
    """
    rows = []
    for policies in POLICIES:
        drawn = noise(stores, policies)
        for sd, (name, truth) in product(WIDE, usual_truths(policies - 1).items()):
            row = {"policies": policies, "sd": sd, "difference": name}
            rows.append(row | _saved(truth[:, None] + sd * drawn, truth))
    return pd.DataFrame(rows)


def splits(stores: int = 2000) -> pd.DataFrame:
    """One row per sd and true difference of two policies, and one of ``SPLITS`` of the level over the looks.

    Columns: sd, difference, split, decided (a share), replicates (expected), the columns of :func:`_beside_fixed`.
    """
    rows, drawn = [], noise(stores, 2)
    for sd, shift, (name, shares) in product(WIDE, SHIFTS, SPLITS.items()):
        codes, taken = first_verdicts(shift + sd * drawn, LEVEL * shares)
        decided, replicates = _share_decided(codes), float(taken.mean())
        row = {"sd": sd, "difference": shift, "split": name, "decided": decided, "replicates": replicates}
        rows.append(row | _beside_fixed(shift + sd * drawn, decided, replicates))
    return pd.DataFrame(rows)


def first_verdicts(differences: np.ndarray, levels: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Verdicts on one policy by its ``differences``, [..., 1, replicates], and the replicates that they took.

    Each look has a level of its own.
    """
    looks = zip(LOOKS, levels, strict=True)
    codes = np.stack([verdicts(paired(differences[..., :n], MARGIN), level) for n, level in looks])
    fell = codes != INCONCLUSIVE
    stop = np.where(fell.any(axis=0), fell.argmax(axis=0), len(LOOKS) - 1)
    return np.take_along_axis(codes, stop[None], axis=0)[0], np.asarray(LOOKS)[stop]


def _saved(differences: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    result, last = decide(differences, MARGIN, LOOKS), LOOKS[-1]
    decided, replicates = _share_decided(result.verdict), float(replicates_taken(result, LOOKS).mean())
    better = result.verdict == BETTER
    seen = np.choose(result.look % len(LOOKS), [look.tests.mean for look in result.taken])  # UNDECIDED: the last
    row = {"better": float(better.mean()), "equivalent": float((result.verdict == EQUIVALENT).mean())}
    row |= {"decided": decided, "decided_by_last": _decided_by(differences, last)}
    row |= {"replicates": replicates, "of_last": replicates / last}
    row |= _beside_fixed(differences, decided, replicates)
    return row | {"excess": float((seen - truth)[better].mean()) if better.any() else np.nan}


def _beside_fixed(differences: np.ndarray, decided: float, replicates: float) -> dict[str, float]:
    """The smallest design of one look that decides as large a share of the policies, or ``ENOUGH``.

    fixed: its replicates; of_fixed: ours as a share of them. Both are NaN where the last look's do not suffice.
    """
    numbers = range(2, LOOKS[-1] + 1)
    place = bisect_left(numbers, min(decided, ENOUGH), key=lambda number: _decided_by(differences, number))
    fixed = numbers[place] if place < len(numbers) else np.nan
    return {"fixed": fixed, "of_fixed": replicates / fixed}


def _decided_by(differences: np.ndarray, replicates: int) -> float:
    return _share_decided(verdicts(paired(differences[..., :replicates], MARGIN)))


def _share_decided(codes: np.ndarray) -> float:
    return float((codes != INCONCLUSIVE).mean())
