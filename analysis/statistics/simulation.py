"""Stores whose truth is known: the test accuracies that the verdicts' tests would see of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from analysis.statistics.paired import Paired, paired


def simulate(stores: int, *, shifts: Sequence[float], sigma: float, replicates: int) -> np.ndarray:
    """Test accuracies [stores, replicates, policies]; ``shifts``: each policy's true accuracy above a common one.

    They are normal with the standard deviation ``sigma`` between seeds, around an effect that the policies of a
    replicate share. Store i is drawn from seed i.
    """
    drawn = np.empty((stores, replicates, len(shifts)))
    for seed in range(stores):
        rng = np.random.default_rng(seed)
        common = rng.normal(0.9, 0.01, (replicates, 1))
        drawn[seed] = common + rng.normal(shifts, sigma, (replicates, len(shifts)))
    return drawn


def all_pairs(accuracies: np.ndarray, margin: float) -> Paired:
    """The tests of all pairs of each store, the first of a pair less the second: fields [stores, pairs]."""
    first, second = np.array(list(combinations(range(accuracies.shape[-1]), 2))).T
    differences = accuracies[..., first] - accuracies[..., second]
    return paired(np.moveaxis(differences, -2, -1), margin)


def to_reference(accuracies: np.ndarray) -> np.ndarray:
    """The other policies' differences to the first, the reference: [stores, policies − 1, replicates]."""
    return np.moveaxis(accuracies[..., 1:] - accuracies[..., :1], -2, -1)
