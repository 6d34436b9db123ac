"""The charts as data: series in shown units, which ``report.js`` draws on a page and ``plots.py`` on paper."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from analysis.curves import curve_ends, mean_curves, run_curves
from analysis.figures.data import pareto_points, parts_of
from analysis.figures.marks import marks_of
from analysis.rendering.table import as_rows
from analysis.runs.accounting import CURRENCIES, Accounting
from analysis.runs.metric import at_start, metric_of
from analysis.runs.reading import Records
from analysis.statistics.intervals import t_interval
from analysis.summary import shown_unit
from analysis.target import survival_table
from tune_kd.formats import percentage

PART_TITLES = {"energy": "Energy by component", "flops": "FLOPs by phase", "time": "Time by phase"}
WITH_TEACHER = "energy with the teacher"
Chart = dict[str, Any]
AXES = {"energy": "energy spent", "flops": "computation", "co2e": "emissions", "time": "time", "epochs": "training"}


def curve_chart(
    records: Records, comparison: int, value: str = "test_score", *, only: str | None = None
) -> Chart | None:
    """The mean score of the incumbent over every currency that was measured, with 95 % t intervals.

    And over energy with all of the teacher's training in it, which no policy's cost has elsewhere. With ``only`` a
    currency, over that one. A series has its ``rows`` as far as all replicates spent, the rows ``beyond``, and its
    ``ends``, the point of the tables.
    """
    outcomes = records.outcomes[records.outcomes["comparison"] == comparison]
    axes: dict[str, Chart] = {}
    series = {label: {**one, "beyond": {}, "ends": {}} for label, one in _series(records, outcomes).items()}
    rules = {currency: Accounting(currency=currency) for currency in CURRENCIES}
    for name, rule in (rules | {WITH_TEACHER: Accounting(teacher_runs=1)}).items():
        if only not in (None, name):
            continue
        curves = mean_curves(run_curves(outcomes, records.runs, records.trials, rule), value).dropna(subset=["mean"])
        if curves.empty:
            continue
        axes[name], base = _axis(rule.currency, curves["cost"], name)
        for label, mine in curves.groupby("label", sort=False):
            whole, beyond = (rows_of(part, ("mean", "low", "high"), base) for part in _parts_of_curve(mine))
            series[str(label)]["rows"][name], series[str(label)]["beyond"][name] = whole, whole[-1:] + beyond
        for label, mine in curve_ends(outcomes, records.runs, records.trials, rule, value).groupby("label", sort=False):
            series[str(label)]["ends"][name] = rows_of(mine, ("mean", "low", "high"), base)[0]
    metric = metric_of(outcomes)
    title = f"Test {metric} of the incumbent over what was spent"
    return chart_of("steps", title, f"test {metric} of the incumbent, %", axes, series.values())


def _parts_of_curve(curve: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of one policy's mean curve at which something changes: as far as all replicates spent, and beyond."""
    whole = curve["spending"] == curve["n"]
    last = whole != whole.shift(-1, fill_value=False)
    changes = curve["mean"].diff().ne(0) | last | (curve["cost"] == curve["cost"].max())
    return curve[changes & whole], curve[changes & ~whole]


def pareto_chart(records: Records, comparison: int, *, only: str | None = None) -> Chart | None:
    """One point a policy: mean test score ± standard deviation over its mean cost, in every measured currency.

    ``front``: by axis, the points [cost, score] that no other point beats in both, the cheapest first.
    """
    outcomes = records.outcomes[records.outcomes["comparison"] == comparison]
    axes: dict[str, Chart] = {}
    series = _series(records, outcomes)
    front: dict[str, list[list[float | None]]] = {}
    for currency in (only,) if only else CURRENCIES:
        points = pareto_points(outcomes, currency)
        points = points.assign(low=points["accuracy"] - points["std"], high=points["accuracy"] + points["std"])
        if points.empty:
            continue
        axes[currency], base = _axis(currency, points["cost"])
        for label, mine in points.groupby("label", sort=False):
            series[str(label)]["rows"][currency] = rows_of(mine, ("accuracy", "low", "high"), base)
        best = rows_of(points[points["front"]].sort_values("cost"), ("accuracy", "low", "high"), base)
        front[currency] = [[cost, accuracy] for cost, accuracy, *_ in best]
    metric = metric_of(outcomes)
    chart = chart_of("points", f"{at_start(metric)} over cost", f"test {metric}, %", axes, series.values())
    return chart | {"front": front} if chart else None


def target_chart(records: Records, comparison: int, *, only: str | None = None) -> Chart | None:
    """The share of runs that have not reached the target yet over what was spent, in every measured currency."""
    outcomes = records.outcomes[records.outcomes["comparison"] == comparison]
    axes: dict[str, Chart] = {}
    series = _series(records, outcomes)
    target = np.nan
    for currency in (only,) if only else CURRENCIES:
        curves = survival_table(outcomes, records.runs, records.trials, accounting=Accounting(currency=currency))
        if curves.empty:
            continue
        target = float(curves["target"].iloc[0])
        axes[currency], base = _axis(currency, curves["cost"])
        # It starts at a cost of 0, which a log axis has no place for.
        axes[currency]["log"] = False
        for label, mine in curves.assign(low=np.nan, high=np.nan).groupby("label", sort=False):
            series[str(label)]["rows"][currency] = rows_of(mine, ("missing", "low", "high"), base)
    shown = f"runs still below {percentage(target)} % validation {metric_of(outcomes)}, %"
    return chart_of("steps", "Runs short of the target", shown, axes, series.values())


def marked(chart: Chart, axis: str) -> list[tuple[Chart, list[float]]]:
    """The series with the point at which each has its marker, of a chart of points or of steps: [x, y, low, high]."""
    found = []
    for series in chart["series"]:
        rows = series["rows"].get(axis) or series.get("beyond", {}).get(axis) or []
        if point := series.get("ends", {}).get(axis) or (rows[-1] if rows else None):
            found.append((series, point))
    return found


def parts_chart(records: Records, comparison: int, what: str) -> Chart | None:
    """Where what (a key of ``PARTS``) each policy spent went: title, x, unit, parts and a row (label, values) a policy.

    Means over replicates in the shown unit; a part that no policy has is left out, one that a policy lacks is NaN.
    ``totals``: by row, mean and 95 % t interval of all of it.
    """
    outcomes = records.outcomes[records.outcomes["comparison"] == comparison]
    frame = parts_of(outcomes, records.runs, records.trials, what).set_index("label").drop(columns="comparison")
    frame = frame.dropna(axis="columns", how="all")
    frame = frame.loc[:, (frame != 0).any()]
    if frame.empty:
        return None
    unit, base = shown_unit(what, frame.sum(axis=1))
    rows = [
        (str(label), [float(value) / base for value in values])
        for label, values in zip(frame.index, frame.to_numpy(), strict=True)
    ]
    counted = outcomes[outcomes["counted"]]
    costs = [counted.loc[counted["label"] == label, CURRENCIES[what].trial].to_numpy(float) / base for label, _ in rows]
    return {
        "title": PART_TITLES[what],
        "x": f"{AXES[what]}, {unit}",
        "unit": unit,
        "parts": list(map(str, frame.columns)),
        "rows": rows,
        "totals": [tuple(map(float, t_interval(mine))) for mine in costs],
    }


def _series(records: Records, outcomes: pd.DataFrame) -> dict[str, Chart]:
    marked = marks_of(records)
    return {label: {**marked[label], "rows": {}} for label in map(str, outcomes["label"].unique())}


def _axis(currency: str, costs: pd.Series, name: str = "") -> tuple[Chart, float]:
    unit, base = shown_unit(currency, costs)
    more = ", with the teacher's training" if name == WITH_TEACHER else ""
    return {"label": f"{AXES[currency]}{more}, {unit}", "unit": unit, "log": True}, base


def chart_of(kind: str, title: str, y: str, axes: dict[str, Chart], series: Iterable[Chart]) -> Chart | None:
    """A chart of the series that have rows; None where none has any."""
    drawn = [one for one in series if one["rows"]]
    return {"kind": kind, "title": title, "y": y, "axes": axes, "series": drawn} if drawn else None


def rows_of(frame: pd.DataFrame, names: tuple[str, str, str], base: float) -> list[list[float | None]]:
    """[cost in the shown unit, mean, low, high in percent]; what is not known is null."""
    rows = []
    for row in as_rows(frame):
        values = [row["cost"] / base, *(100 * row[name] for name in names)]
        rows.append([float(f"{value:.6g}") if np.isfinite(value) else None for value in values])
    return rows
