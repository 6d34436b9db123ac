"""Which verdicts so many replicates would give, by simulation: the ranking's own tests on stores whose truth is known.

Planned before anything is run, from the spread of paired differences between policies: that of earlier records, or
the one that was measured for a scenario of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import chi2

from analysis.statistics.paired import BETTER, EQUIVALENT, INCONCLUSIVE, WORSE, verdicts
from analysis.statistics.simulation import all_pairs, simulate

DIFFERENCES = (0.0, 0.5, 1.0, 2.0)  # true ones, in margins
STORES, NUMBERS = 1000, 20_000_000  # simulated stores; fewer where they would be of more differences than NUMBERS
CODES = {"better": BETTER, "worse": WORSE, "equivalent": EQUIVALENT, "inconclusive": INCONCLUSIVE}


def verdict_shares(
    replicates: int, policies: int, *, sd: float, margin: float, differences: Sequence[float] = DIFFERENCES
) -> pd.DataFrame:
    """How often a policy gets each verdict against another, where it is better than all others by ``differences``.

    ``sd`` is that of paired differences, ``margin`` the one of equivalence, both as fractions of the metric;
    ``differences`` are in margins. The other policies are equal. Holm goes over all pairs, as in the ranking. One row a
    difference. Columns: difference (a fraction), better, worse, equivalent, inconclusive (shares of pairs).
    Raises ValueError for fewer than two policies or two replicates.
    """
    if min(replicates, policies) < 2:
        raise ValueError(f"need 2 policies and 2 replicates or more, got {policies} and {replicates}")
    stores = int(np.clip(NUMBERS // (replicates * policies * (policies - 1) // 2), 100, STORES))
    drawn = simulate(stores, shifts=[0.0] * policies, sigma=sd / np.sqrt(2), replicates=replicates)
    rows = []
    for difference in margin * np.asarray(differences):
        shifted = drawn + difference * (np.arange(policies) == 0)
        codes = verdicts(all_pairs(shifted, margin))[:, : policies - 1]  # the first policy's pairs come first
        rows.append({"difference": difference, **{name: float((codes == code).mean()) for name, code in CODES.items()}})
    return pd.DataFrame(rows)


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


def typical_sd(outcomes: pd.DataFrame) -> float | None:
    """The standard deviation of paired differences in the pair in the middle; None where no pair has a spread.

    Not pooled over all pairs: one policy that fails in some seeds would make its spread that of everybody. The median
    of few replicates' standard deviations is too small by the median of χ², which is divided out.
    """
    pairs = pair_sds(outcomes)
    if not (pairs["sd"] > 0).any():
        return None
    return float(np.median(pairs["sd"] / np.sqrt(chi2.median(pairs["freedom"]) / pairs["freedom"])))
