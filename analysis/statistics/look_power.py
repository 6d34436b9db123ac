"""Which verdicts a comparison would give that stops where it is decided, and after how many replicates.

By simulation, before anything is run: the verdicts of :mod:`analysis.statistics.looks` on stores whose truth is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.statistics.looks import Decided, decide
from analysis.statistics.power import CODES, DIFFERENCES, NUMBERS, STORES
from analysis.statistics.simulation import simulate, to_reference


def shares_at_looks(
    looks: Sequence[int],
    levels: Sequence[float],
    policies: int,
    *,
    sd: float,
    margin: float,
    differences: Sequence[float] = DIFFERENCES,
) -> pd.DataFrame:
    """How often policies get each verdict against the reference, which all others are better than by ``differences``.

    ``looks`` are numbers of replicates, ascending, and ``levels`` their levels; ``policies`` counts the reference.
    ``sd`` is that of paired differences, ``margin`` the one of equivalence, both as fractions of the metric;
    ``differences`` are in margins.
    One row a difference. Columns: difference (a fraction); better, worse, equivalent, inconclusive (shares of the
    policies but the reference); expected numbers: replicates (of one of these policies), reference_replicates, runs (of
    all policies together); runs_at_most (where all looks are taken by all).
    Raises ValueError for fewer than two policies or a look at fewer than two replicates.
    """
    if policies < 2 or min(looks) < 2:
        raise ValueError(f"need 2 policies and looks at 2 replicates or more, got {policies} and {list(looks)}")
    last = looks[-1]
    stores = int(np.clip(NUMBERS // (last * (policies - 1)), 100, STORES))
    equal = to_reference(simulate(stores, shifts=[0.0] * policies, sigma=sd / np.sqrt(2), replicates=last))
    rows = []
    for difference in margin * np.asarray(differences):
        decided = decide(equal + difference, margin, looks, levels)
        taken = replicates_taken(decided, looks)
        row = {"difference": difference}
        row |= {name: float((decided.verdict == code).mean()) for name, code in CODES.items()}
        row |= {"replicates": float(taken[..., 1:].mean()), "reference_replicates": float(taken[..., 0].mean())}
        rows.append(row | {"runs": float(taken.sum(axis=-1).mean()), "runs_at_most": last * policies})
    return pd.DataFrame(rows)


def replicates_taken(decided: Decided, looks: Sequence[int]) -> np.ndarray:
    """The replicates of the reference, then of each policy, [..., 1 + policies], where each stops at its verdict.

    The reference goes on as long as any policy is undecided.
    """
    of_policies = np.asarray(looks)[decided.look]  # UNDECIDED is -1: the last look
    return np.concatenate([of_policies.max(axis=-1, keepdims=True), of_policies], axis=-1)
