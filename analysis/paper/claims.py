"""What the paper's own numbers say of its claims: differences with intervals, ratios of costs, and what they imply.

The paper gives means and ± of five repeats. They are taken as independent samples (Welch's t, TOST within the margin of
this project's scenarios, Holm over the rows of one table). All of its repeats began from one seed, so that its ± leaves
out what another seed would change: intervals by it are too narrow.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.paper.numbers import REPEATS, PaperRow, paper_rows
from analysis.statistics.paired import VERDICTS, verdicts
from analysis.statistics.unpaired import unpaired

MARGIN_PP = 0.3  # within which this project's scenarios of the paper's data call two accuracies equivalent
PAIR = ("table", "dataset", "teacher", "student", "loss")  # what two rows of one pair have in common


def method(name: str, table: int) -> list[PaperRow]:
    """The rows of a table with this method, in its order."""
    return [row for row in paper_rows() if row.table == table and row.method == name]


def pairs(table: int) -> pd.DataFrame:
    """Stochastic beside tuned τ, a row for each pair of rows of a table.

    Columns: table, dataset, teacher, student, loss, tuned, stochastic (percent), difference, low, high (percentage
    points, stochastic − tuned), verdict (on stochastic), and ratios tuned over stochastic: gflops, energy, co2e.
    Where a ± is missing, so are low, high and verdict.
    """
    tuned = {_key(row): row.numbers for row in method("tuned", table)}
    rows = [
        {**dict(zip(PAIR, _key(row), strict=True)), **_compared(tuned[_key(row)], row.numbers)}
        for row in method("stochastic", table)
    ]
    return _judged(pd.DataFrame(rows))


def intensities() -> pd.DataFrame:
    """g CO2e a kWh, a row for each row of the tables that has both: table, dataset, method, g_per_kwh."""
    rows = [
        {"table": row.table, "dataset": row.dataset, "method": row.method, "g_per_kwh": numbers["co2e_g"] / kwh}
        for row in paper_rows()
        if (kwh := (numbers := row.numbers).get("energy_kwh")) and "co2e_g" in numbers
    ]
    return pd.DataFrame(rows)


def alone() -> pd.DataFrame:
    """Table 1: a row a data set with the scores (percent) and energies (kWh) of teacher, student alone, tuned and
    stochastic τ: dataset, ``<method>`` and ``<method>_kwh``.
    """
    found: dict[str, dict[str, float]] = {}
    for row in paper_rows():
        if row.table == 1:
            mine = found.setdefault(row.dataset, {})
            mine[row.method], mine[f"{row.method}_kwh"] = row.numbers["score"], row.numbers["energy_kwh"]
    return pd.DataFrame([{"dataset": dataset, **numbers} for dataset, numbers in found.items()])


def above_their_teacher() -> list[PaperRow]:
    """The distilled students whose score is above that of the teacher that Table 1 has for their data set."""
    teachers = {(row.dataset, row.teacher): row.numbers["score"] for row in method("teacher", 1)}
    rows = [row for row in paper_rows() if row.student and (row.dataset, row.teacher) in teachers]
    return [row for row in rows if row.numbers["score"] > teachers[row.dataset, row.teacher]]


def macro_specificity(accuracy: float, classes: int) -> float:
    """The mean over classes of specificity on a test set with equally many images of each class, a fraction.

    Each wrong prediction is a false positive of one class, and each class has (classes − 1)/classes of the images as
    its negatives, so that the mean is 1 − (1 − accuracy)/(classes − 1), whatever is taken for what.
    """
    return 1 - (1 - accuracy) / (classes - 1)


def cohens_kappa(accuracy: float, classes: int) -> float:
    """κ on a test set with equally many images of each class: chance alone is right in one of ``classes``."""
    return (accuracy - 1 / classes) / (1 - 1 / classes)


def _key(row: PaperRow) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in PAIR)


def _compared(tuned: dict[str, float], drawn: dict[str, float]) -> dict[str, float]:
    ratios = {"gflops": "gflops_m", "energy": "energy_kwh", "co2e": "co2e_g"}
    return {
        "tuned": tuned["score"],
        "stochastic": drawn["score"],
        "spread_tuned": tuned.get("spread", np.nan),
        "spread_stochastic": drawn.get("spread", np.nan),
        **{name: tuned.get(cost, np.nan) / drawn.get(cost, np.nan) for name, cost in ratios.items()},
    }


def _judged(rows: pd.DataFrame) -> pd.DataFrame:
    names = ("stochastic", "spread_stochastic", "tuned", "spread_tuned")
    drawn, spread, tuned, tuned_spread = (rows[name].to_numpy(float) for name in names)
    found = unpaired(drawn, spread, tuned, tuned_spread, n=REPEATS, margin=MARGIN_PP)
    known = ~np.isnan(found.low)
    said = [VERDICTS[code] if there else None for code, there in zip(verdicts(found), known, strict=True)]
    verdict = pd.Series(said, index=rows.index, dtype=object)
    return rows.assign(difference=found.mean, low=found.low, high=found.high, verdict=verdict)
