"""How often verdicts err that fall at one of several looks, and what the looks save, by simulation.

The verdicts are those of :mod:`analysis.statistics.looks` on thousands of stores whose truth is known. Store i is drawn
from seed i, so every run of this gives the same tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from analysis.rendering.table import FORMATS, Table, as_rows, render
from analysis.statistics.look_cases import LEVELS, LOOKS, MARGIN, POLICIES, SDS, false_verdicts, hard_truths, noise
from analysis.statistics.look_savings import SPLIT_POLICIES, savings, splits
from analysis.statistics.looks import Decided, decide
from tune_kd.formats import MISSING, percentage


def errors(stores: int = 2000) -> pd.DataFrame:
    """One row per number of policies, truth and sd.

    Columns: policies, truth (in words), sd; false_order and false_equivalent (shares of stores with such a verdict
    anywhere); all_looks and last_look (the shares of policies whose intervals at all looks taken hold the truth, and
    whose interval at the last one does).
    """
    rows = []
    for policies in POLICIES:
        drawn = noise(stores, policies)
        for (name, truth), sd in product(hard_truths(policies - 1).items(), SDS):
            decided = decide(truth[:, None] + sd * drawn, MARGIN, LOOKS, LEVELS)
            order, equivalent = (wrong.any(axis=-1).mean() for wrong in false_verdicts(decided.verdict, truth))
            row = {"policies": policies, "truth": name, "sd": sd}
            rows.append(row | {"false_order": order, "false_equivalent": equivalent} | _coverage(decided, truth))
    return pd.DataFrame(rows)


def _coverage(decided: Decided, truth: np.ndarray) -> dict[str, float]:
    intervals = [(look.tests.low, look.tests.high) for look in decided.taken]
    covered = np.stack([(low <= truth) & (truth <= high) for low, high in intervals])
    last = decided.look % len(LOOKS)  # UNDECIDED is -1: the last look
    taken = np.arange(len(LOOKS)).reshape(-1, 1, 1) <= last
    return {"all_looks": (covered | ~taken).all(axis=0).mean(), "last_look": np.choose(last, covered).mean()}


HEADERS = {
    "last_look": "last look taken",
    "better": "better %",
    "equivalent": "equivalent %",
    "decided": "decided %",
    "decided_by_last": f"by {LOOKS[-1]} %",
    "of_last": f"of {LOOKS[-1]} %",
    "of_fixed": "of fixed %",
}
SHARES = (*HEADERS, "false_order", "false_equivalent", "all_looks")
DECIMALS = {"replicates": 1, "excess": 2}
ERRORS = "percent of {} simulated stores; sd of paired differences in margins"
SAVINGS = "{} simulated stores; differences, their sd and excess in margins"


def tables(rates: pd.DataFrame, saved: pd.DataFrame, split: pd.DataFrame, stores: int) -> list[Table]:
    """What :func:`errors`, :func:`savings` and :func:`splits` found in so many stores."""
    case, per, both = ("truth", "policies"), ("sd", "difference"), ("decided", "replicates", "of_fixed")
    errors_note, savings_note = ERRORS.format(stores), SAVINGS.format(stores)
    return [
        _wide("Errors over all looks", rates, case, ("false_order", "false_equivalent"), "sd", errors_note),
        _wide("Coverage of the intervals", rates, case, ("all_looks", "last_look"), "sd", errors_note),
        _long("Verdicts and replicates", saved, savings_note),
        _wide(f"Three splits of the level, {SPLIT_POLICIES} policies", split, per, both, "split", savings_note),
    ]


def _long(title: str, table: pd.DataFrame, note: str) -> Table:
    rows = [[_cell(name, value) for name, value in row.items()] for row in as_rows(table)]
    headers = [HEADERS.get(name, name) for name in table.columns]
    return Table(title=title, headers=headers, rows=rows, data=table, notes=[note], text_columns=0)


def _wide(title: str, table: pd.DataFrame, case: Sequence[str], values: Sequence[str], across: str, note: str) -> Table:
    """One row a case; each of ``values`` has a column for each value of ``across``."""
    headers = [*case]
    for name, value in product(values, table[across].unique()):
        which = value if isinstance(value, str) else f"{across} {value:g}"
        headers.append(f"{HEADERS.get(name, name.replace('_', ' '))}, {which}")
    rows = []
    for _, same in table.groupby(list(case), sort=False):
        rows.append([_cell(name, same[name].iloc[0]) for name in case])
        rows[-1] += [_cell(name, value) for name in values for value in same[name]]
    texts = int(isinstance(table[case[0]].iloc[0], str))
    return Table(title=title, headers=headers, rows=rows, data=table, notes=[note], text_columns=texts)


def _cell(name: str, value: Any) -> str:
    if name in SHARES:
        return percentage(value, 1)
    if isinstance(value, str):
        return value
    if np.isnan(value):
        return MISSING
    if name in DECIMALS:
        return f"{round(value, DECIMALS[name]) + 0.0:.{DECIMALS[name]}f}"  # no -0.00
    return f"{value:g}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--stores", type=int, default=2000)
    parser.add_argument("--format", default="md", choices=FORMATS)
    given = parser.parse_args()
    found = errors(given.stores), savings(given.stores), splits(given.stores)
    print(render(tables(*found, given.stores), given.format))
