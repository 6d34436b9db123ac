"""The comparisons of several looks that are simulated, and their truths; all differences are in margins."""

from __future__ import annotations

import numpy as np

from analysis.statistics.paired import BETTER, EQUIVALENT, LEVEL, WORSE
from analysis.statistics.simulation import simulate, to_reference

LOOKS, MARGIN = (5, 10, 20, 40), 1.0
LEVELS = tuple(LEVEL * replicates / sum(LOOKS) for replicates in LOOKS)
POLICIES = (2, 5, 14)  # with the reference
SDS = (0.25, 0.5, 1.0, 2.0)  # of paired differences
SHIFTS = (0.0, 0.5, 1.0, 2.0)  # true differences to the reference
FAR = 5.0  # a difference that is mostly found at the first looks


def noise(stores: int, policies: int) -> np.ndarray:
    """Differences to the reference, were all policies equal: [stores, policies − 1, replicates of the last look].

    Their standard deviation is 1. Store i is drawn from seed i.
    """
    return to_reference(simulate(stores, shifts=[0.0] * policies, sigma=np.sqrt(0.5), replicates=LOOKS[-1]))


def hard_truths(others: int) -> dict[str, np.ndarray]:
    """True differences of the ``others`` to the reference with which verdicts go wrong most easily."""
    margins = np.where(np.arange(others) % 2, -1.0, 1.0)  # on both sides: what moves one away moves the next one in
    first = np.arange(others) < others // 2
    truths = {"all equal": np.zeros(others), "all at the margin": margins}
    if others > 1:
        truths["half far, half equal"] = np.where(first, FAR, 0.0)
        truths["half equal, half at the margin"] = np.where(first, 0.0, margins)
    return truths


def usual_truths(others: int) -> dict[str, np.ndarray]:
    """The ``others`` are all better by one of ``SHIFTS``; mixed: by each of them in turn."""
    alike = {f"{shift:g}": np.full(others, shift) for shift in SHIFTS}
    return alike | ({"mixed": np.resize(SHIFTS, others)} if others > 1 else {})


def false_verdicts(codes: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a policy is called better or worse and is not, and where it is called equivalent and is not."""
    order = ((codes == BETTER) & (truth <= 0)) | ((codes == WORSE) & (truth >= 0))
    return order, (codes == EQUIVALENT) & (np.abs(truth) >= MARGIN)
