"""The test score by the values of a hyperparameter, as charts: by τ, and by α where it was searched, too."""

from __future__ import annotations

import pandas as pd

from analysis.figures.charts import Chart, chart_of, rows_of
from analysis.figures.data import accuracy_by, comparisons_with_alpha
from analysis.figures.marks import marks
from analysis.runs.metric import metric_of
from analysis.runs.reading import Records
from tune_kd.formats import SYMBOLS

MOST_LEVELS = 6  # of α, above which a line for each is not legible
AXES: dict[str, Chart] = {
    "tau": {"label": "temperature τ", "unit": "= τ", "log": False},
    "alpha": {"label": "weight of distillation α", "unit": "= α", "log": False},
}


def tau_chart(records: Records, comparison: int) -> Chart | None:
    """The test score by constant τ, with 95 % t intervals over replicates; a line for each α where α was searched."""
    if comparison in comparisons_with_alpha(records.outcomes, records.trials):
        by_both = accuracy_by(records.outcomes, records.trials, "tau", "alpha")
        by_both = by_both[by_both["comparison"] == comparison]
        if by_both["alpha"].nunique() <= MOST_LEVELS:
            lines = {f"α {alpha:g}": mine for alpha, mine in by_both.groupby("alpha")}
            marked = marks([*lines])
            series = [{**marked[label], "rows": {"tau": _rows(mine, "tau")}} for label, mine in lines.items()]
            return _chart(records, comparison, "tau", series)
    return _single(records, comparison, "tau", "constant τ")


def alpha_chart(records: Records, comparison: int) -> Chart | None:
    """The test score by α, over all trials at a constant τ, with 95 % t intervals; None where α was not searched."""
    if comparison not in comparisons_with_alpha(records.outcomes, records.trials):
        return None
    return _single(records, comparison, "alpha", "constant α")


def _single(records: Records, comparison: int, value: str, label: str) -> Chart | None:
    found = accuracy_by(records.outcomes, records.trials, value)
    found = found[found["comparison"] == comparison]
    if found.empty:
        return None
    return _chart(records, comparison, value, [marks([label])[label] | {"rows": {value: _rows(found, value)}}])


def _rows(found: pd.DataFrame, value: str) -> list[list[float | None]]:
    return rows_of(found.rename(columns={value: "cost"}), ("mean", "low", "high"), 1.0)


def _chart(records: Records, comparison: int, value: str, series: list[Chart]) -> Chart | None:
    metric = metric_of(records.outcomes[records.outcomes["comparison"] == comparison])
    symbol = SYMBOLS[value]
    return chart_of("line", f"Test {metric} by {symbol}", f"test {metric}, %", {value: AXES[value]}, series)
