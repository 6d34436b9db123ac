"""How often the verdicts err, by simulation: the ranking's own tests on thousands of stores whose truth is known.

A simulated store is what the tests see of one: the test accuracies of k policies in n replicates, normal with the
standard deviation σ between seeds around an effect that the policies of a replicate share. Store i is drawn from
seed i, so every run of this gives the same table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd

from analysis.rendering.table import FORMATS, Table, as_rows, render
from analysis.statistics.paired import BETTER, EQUIVALENT, WORSE, Paired, paired, verdicts

MARGIN = 0.003  # the paper's scenario: 0.3 pp
SIGMAS, REPLICATES, POLICIES = (0.0015, 0.0025), (5, 10), (2, 5)
SHIFTS = (0.0, 0.5, 1.0, 2.0)  # in margins


def simulate(stores: int, *, shifts: Sequence[float], sigma: float, replicates: int) -> np.ndarray:
    """Test accuracies [stores, replicates, policies]; ``shifts``: each policy's true accuracy above a common one."""
    drawn = np.empty((stores, replicates, len(shifts)))
    for seed in range(stores):
        rng = np.random.default_rng(seed)
        common = rng.normal(0.9, 0.01, (replicates, 1))
        drawn[seed] = common + rng.normal(shifts, sigma, (replicates, len(shifts)))
    return drawn


def all_pairs(accuracies: np.ndarray, margin: float = MARGIN) -> Paired:
    """The tests of all pairs of each store: fields [stores, pairs]."""
    first, second = np.array(list(combinations(range(accuracies.shape[-1]), 2))).T
    differences = accuracies[..., first] - accuracies[..., second]
    return paired(np.moveaxis(differences, -2, -1), margin)


def calibrate(stores: int = 2000) -> pd.DataFrame:
    """One row per σ, replicates and policies: rates over ``stores`` simulated stores.

    Columns: sigma, replicates, policies; false_order (identical policies: a "better" or "worse" anywhere),
    false_equivalent (neighbours differ by the margin: an "equivalent" anywhere), coverage (of the 95 % intervals of
    all pairs), power_equivalent (identical policies: all pairs equivalent, as a share of pairs).
    """
    rows = []
    for sigma, replicates, policies in product(SIGMAS, REPLICATES, POLICIES):
        same = all_pairs(simulate(stores, shifts=[0.0] * policies, sigma=sigma, replicates=replicates))
        apart = MARGIN * np.arange(policies)
        codes = verdicts(same)
        ladder = verdicts(all_pairs(simulate(stores, shifts=list(apart), sigma=sigma, replicates=replicates)))
        row = {"sigma": sigma, "replicates": replicates, "policies": policies}
        row |= {"false_order": np.isin(codes, (BETTER, WORSE)).any(axis=-1).mean()}
        row |= {"false_equivalent": (ladder == EQUIVALENT).any(axis=-1).mean()}
        row |= {"coverage": ((same.low <= 0) & (same.high >= 0)).mean()}
        rows.append(row | {"power_equivalent": (codes == EQUIVALENT).mean()})
    return pd.DataFrame(rows)


def power(stores: int = 2000) -> pd.DataFrame:
    """One row per σ, replicates and true difference of two policies (in margins): the share of each verdict."""
    rows = []
    for sigma, replicates, shift in product(SIGMAS, REPLICATES, SHIFTS):
        codes = verdicts(all_pairs(simulate(stores, shifts=[shift * MARGIN, 0.0], sigma=sigma, replicates=replicates)))
        shares = {"better": (codes == BETTER).mean(), "worse": (codes == WORSE).mean()}
        shares |= {"equivalent": (codes == EQUIVALENT).mean()}
        rows.append({"sigma": sigma, "replicates": replicates, "difference_margins": shift, **shares})
    return pd.DataFrame(rows)


def format_calibration(table: pd.DataFrame, title: str, stores: int) -> Table:
    """Rates in percent."""
    counts = ("replicates", "policies")
    rows = []
    for row in as_rows(table):
        cells = {name: f"{value:g}" if name in counts else f"{100 * value:.1f}" for name, value in row.items()}
        cells["sigma"] = f"{100 * row['sigma']:.2f}"
        if "difference_margins" in row:
            cells["difference_margins"] = f"{row['difference_margins']:g}"
        rows.append(list(cells.values()))
    headers = [name.replace("_", " ").replace("sigma", "σ pp") for name in table.columns]
    notes = [f"percent of {stores} simulated stores; margin {100 * MARGIN:g} pp"]
    return Table(title=title, headers=headers, rows=rows, data=table, notes=notes, text_columns=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--stores", type=int, default=2000)
    parser.add_argument("--format", default="md", choices=FORMATS)
    given = parser.parse_args()
    shown = [
        format_calibration(calibrate(given.stores), "Errors of the verdicts", given.stores),
        format_calibration(power(given.stores), "Power of the verdicts, two policies", given.stores),
    ]
    print(render(shown, given.format))
