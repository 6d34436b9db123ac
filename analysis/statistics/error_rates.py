"""How often the verdicts err, by simulation: the ranking's own tests on thousands of stores whose truth is known.

Accuracies are those of :mod:`analysis.statistics.simulation`. Costs to a target are drawn below the budget, and are
the budget where a run misses. Store i is drawn from seed i, so every run of this gives the same tables.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analysis.rendering.table import FORMATS, Table, as_rows, render
from analysis.statistics.censored import bounded_mean_interval
from analysis.statistics.intervals import t_interval
from analysis.statistics.paired import BETTER, EQUIVALENT, WORSE, verdicts
from analysis.statistics.simulation import all_pairs, simulate

MARGIN = 0.003  # the paper's scenario: 0.3 pp
SIGMAS, REPLICATES, POLICIES = (0.0015, 0.0025), (5, 10), (2, 5)
SHIFTS = (0.0, 0.5, 1.0, 2.0)  # in margins
REACHED, RUNS = (0.2, 0.5, 0.8, 0.95), (3, 5, 10, 20)  # P(a run reaches the target), runs of a policy


def calibrate(stores: int = 2000) -> pd.DataFrame:
    """One row per σ, replicates and policies: rates over ``stores`` simulated stores.

    Columns: sigma, replicates, policies; false_order (identical policies: a "better" or "worse" anywhere),
    false_equivalent (neighbours differ by the margin: an "equivalent" anywhere), coverage (of the 95 % intervals of
    all pairs), power_equivalent (identical policies: all pairs equivalent, as a share of pairs).
    """
    rows = []
    for sigma, replicates, policies in product(SIGMAS, REPLICATES, POLICIES):
        same = all_pairs(simulate(stores, shifts=[0.0] * policies, sigma=sigma, replicates=replicates), MARGIN)
        apart = MARGIN * np.arange(policies)
        codes = verdicts(same)
        ladder = verdicts(all_pairs(simulate(stores, shifts=list(apart), sigma=sigma, replicates=replicates), MARGIN))
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
        codes = verdicts(
            all_pairs(simulate(stores, shifts=[shift * MARGIN, 0.0], sigma=sigma, replicates=replicates), MARGIN)
        )
        shares = {"better": (codes == BETTER).mean(), "worse": (codes == WORSE).mean()}
        shares |= {"equivalent": (codes == EQUIVALENT).mean()}
        rows.append({"sigma": sigma, "replicates": replicates, "difference_margins": shift, **shares})
    return pd.DataFrame(rows)


def censored_coverage(stores: int = 2000) -> pd.DataFrame:
    """One row per P(reach) and number of runs: how often 95 % intervals of the RMST hold it, and how wide they are.

    Columns: reached, n; coverage, width of :func:`bounded_mean_interval`; t_coverage, t_width of Student's t, cut at 0
    and the budget. Widths are shares of the budget. Of two shapes of cost, uniform up to the budget and log-normal
    around an eighth of it, the lesser coverage and the larger width.
    """
    rows = []
    for reached, n in product(REACHED, RUNS):
        found = []
        for shape in ("uniform", "early"):
            costs, mean = _costs(shape, reached, (stores, n))
            average, *ends = t_interval(costs)
            ends = [np.where(np.isnan(end), average, end).clip(0, 1) for end in ends]  # equal costs: their mean alone
            for low, high in (bounded_mean_interval(costs, 1.0), ends):
                found += [((low <= mean) & (mean <= high)).mean(), (high - low).mean()]
        figures = np.reshape(found, (2, 4))  # by shape: coverage and width of ours, of t
        values = np.where([True, False, True, False], figures.min(axis=0), figures.max(axis=0))
        named = dict(zip(("coverage", "width", "t_coverage", "t_width"), values, strict=True))
        rows.append({"reached": reached, "n": n, **named})
    return pd.DataFrame(rows)


def _costs(shape: str, reached: float, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Costs to a target, cut at a budget of 1, and their true mean."""
    rng = np.random.default_rng(0)
    hits = rng.uniform(size=size) if shape == "uniform" else np.exp(rng.normal(np.log(1 / 8), 0.5, size)).clip(max=1)
    # The mean of a log-normal cost cut at 1, by the formula of its partial expectation.
    cut = np.log(8) / 0.5
    early = np.exp(0.125) / 8 * ndtr(cut - 0.5) + ndtr(-cut)
    mean = 0.5 if shape == "uniform" else float(early)
    return np.where(rng.uniform(size=size) < reached, hits, 1.0), reached * mean + 1 - reached


def format_censored(table: pd.DataFrame, stores: int) -> Table:
    """Coverages in percent, widths in percent of the budget."""
    rows = [
        [f"{row['reached']:g}", f"{row['n']:g}"]
        + [f"{100 * row[name]:.1f}" for name in ("coverage", "width", "t_coverage", "t_width")]
        for row in as_rows(table)
    ]
    return Table(
        title="Coverage of the RMST's interval",
        headers=["P(reach)", "n", "coverage", "width", "coverage of t", "width of t"],
        rows=rows,
        data=table,
        notes=[f"percent of {stores} simulated policies, widths in percent of the budget; the worse of two shapes"],
        text_columns=0,
    )


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
        format_censored(censored_coverage(given.stores), given.stores),
    ]
    print(render(shown, given.format))
