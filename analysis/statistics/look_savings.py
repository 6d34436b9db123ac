"""How many replicates several looks take, beside designs that have the same number for every policy; by simulation."""

from __future__ import annotations

from bisect import bisect_left
from itertools import product

import numpy as np
import pandas as pd

from analysis.statistics.look_cases import LEVELS, LOOKS, MARGIN, POLICIES, SDS, noise, usual_truths
from analysis.statistics.look_power import replicates_taken
from analysis.statistics.looks import Decided, decide
from analysis.statistics.paired import BETTER, EQUIVALENT, INCONCLUSIVE, LEVEL, paired, verdicts

WIDE = SDS[1:]  # with the least sd everything is decided at the first look
SPLIT_POLICIES = 5  # with the reference
ENOUGH = 0.99  # no design beside ours has to decide more: the last of thousands of stores would set its size
# By name, what the looks' parts of the level are in proportion to.
SPLITS = {"even": np.ones(len(LOOKS)), "square root": np.sqrt(LOOKS), "proportional": np.asarray(LOOKS, dtype=float)}


def savings(stores: int = 2000) -> pd.DataFrame:
    """One row per number of policies, sd and true difference to the reference: verdicts and replicates.

    Columns: policies, sd, difference (in words); better, equivalent, decided (shares of the policies but the
    reference), decided_by_last (by a fixed design with the last look's replicates); replicates (expected, the mean over
    all policies), of_last (their share of the last look's); fixed (the replicates of the smallest design of one look
    that decides as much), of_fixed (ours as a share of them); excess (how much larger than the truth the differences
    are, in margins, where they are called better).
    """
    rows = []
    for policies in POLICIES:
        drawn = noise(stores, policies)
        for sd, (name, truth) in product(WIDE, usual_truths(policies - 1).items()):
            row = {"policies": policies, "sd": sd, "difference": name}
            rows.append(row | _saved(truth[:, None] + sd * drawn, truth))
    return pd.DataFrame(rows)


def splits(stores: int = 2000) -> pd.DataFrame:
    """One row per sd and true difference of ``SPLIT_POLICIES``, and one of ``SPLITS`` of the level over the looks.

    Columns: sd, difference (in words), split, and of :func:`savings` decided, replicates, fixed and of_fixed.
    """
    rows, drawn = [], noise(stores, SPLIT_POLICIES)
    for sd, (name, truth) in product(WIDE, usual_truths(SPLIT_POLICIES - 1).items()):
        differences = truth[:, None] + sd * drawn
        for split, parts in SPLITS.items():
            result = decide(differences, MARGIN, LOOKS, LEVEL * parts / parts.sum())
            rows.append({"sd": sd, "difference": name, "split": split, **_beside_fixed(differences, result)})
    return pd.DataFrame(rows)


def _saved(differences: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    result, last = decide(differences, MARGIN, LOOKS, LEVELS), LOOKS[-1]
    beside, better = _beside_fixed(differences, result), result.verdict == BETTER
    seen = np.choose(result.look % len(LOOKS), [look.tests.mean for look in result.taken])  # UNDECIDED: the last
    row = {"better": float(better.mean()), "equivalent": float((result.verdict == EQUIVALENT).mean())}
    row |= {"decided": beside["decided"], "decided_by_last": _decided_by(differences, last)}
    row |= {"replicates": beside["replicates"], "of_last": beside["replicates"] / last, **beside}
    return row | {"excess": float((seen - truth)[better].mean()) if better.any() else np.nan}


def _beside_fixed(differences: np.ndarray, result: Decided) -> dict[str, float]:
    """decided and replicates of ``result``, beside the smallest design of one look that decides as much, or ``ENOUGH``.

    fixed: its replicates; of_fixed: ours as a share of them. Both are NaN where the last look's do not suffice.
    """
    decided, replicates = _share_decided(result.verdict), float(replicates_taken(result, LOOKS).mean())
    numbers = range(2, LOOKS[-1] + 1)
    place = bisect_left(numbers, min(decided, ENOUGH), key=lambda number: _decided_by(differences, number))
    fixed = numbers[place] if place < len(numbers) else np.nan
    return {"decided": decided, "replicates": replicates, "fixed": fixed, "of_fixed": replicates / fixed}


def _decided_by(differences: np.ndarray, replicates: int) -> float:
    return _share_decided(verdicts(paired(differences[..., :replicates], MARGIN)))


def _share_decided(codes: np.ndarray) -> float:
    return float((codes != INCONCLUSIVE).mean())
