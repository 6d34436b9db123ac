"""The charts as data: series in shown units, which ``report.js`` draws on a page and ``plots.py`` on paper.

Colours are Okabe and Ito's, told apart by colour-blind readers too; a policy's dash and marker go with them. It looks
the same in every chart, and up to 24 policies differ from each other in every chart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.curves import curve_ends, mean_curves, run_curves
from analysis.figures.data import accuracy_by_tau, pareto_points, parts_of
from analysis.rendering.table import as_rows
from analysis.runs.accounting import CURRENCIES, Accounting
from analysis.runs.metric import at_start, metric_of
from analysis.runs.reading import Records
from analysis.summary import shown_unit
from analysis.target import survival_table
from tune_kd.formats import percentage

BLACK = "#000000"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", BLACK, "#F0E442")
DASHES = ("", "7 4", "2 3", "9 3 2 3")
SHAPES = ("circle", "square", "up", "diamond", "down", "cross")
PART_TITLES = {"energy": "Energy by component", "flops": "FLOPs by phase", "time": "Time by phase"}
WITH_TEACHER = "energy with the teacher"
Chart = dict[str, Any]


def look(labels: list[str]) -> dict[str, dict[str, str]]:
    """By policy, colour, dash (SVG's) and marker; black is the text's own colour, which turns white in the dark."""
    colours = ["currentColor" if colour == BLACK else colour for colour in COLOURS]
    return {
        label: {
            "label": label,
            "colour": colours[i % len(colours)],
            # One further in every round of colours: where a colour comes again, its dash is another.
            "dash": DASHES[(i + i // len(colours)) % len(DASHES)],
            "marker": SHAPES[i % len(SHAPES)],
        }
        for i, label in enumerate(labels)
    }


def curve_chart(records: Records, comparison: int, value: str = "test_score") -> Chart | None:
    """The mean score of the incumbent over every currency that was measured, with 95 % t intervals.

    And over energy with all of the teacher's training in it, which no policy's cost has elsewhere. A series has its
    ``rows`` as far as all replicates spent, the rows ``beyond``, and its ``ends``, the point of the tables.
    """
    outcomes = records.outcomes[records.outcomes["comparison"] == comparison]
    axes: dict[str, Chart] = {}
    series = {
        label: {**one, "beyond": {}, "ends": {}} for label, one in _series(list(outcomes["label"].unique())).items()
    }
    rules = {currency: Accounting(currency=currency) for currency in CURRENCIES}
    for name, rule in (rules | {WITH_TEACHER: Accounting(teacher_runs=1)}).items():
        curves = mean_curves(run_curves(outcomes, records.runs, records.trials, rule), value).dropna(subset=["mean"])
        if curves.empty:
            continue
        axes[name], base = _axis(rule.currency, curves["cost"])
        axes[name]["label"] = axes[name]["label"].replace(rule.currency, name)
        for label, mine in curves.groupby("label", sort=False):
            whole, beyond = (_rows(part, ("mean", "low", "high"), base) for part in _parts_of_curve(mine))
            series[str(label)]["rows"][name], series[str(label)]["beyond"][name] = whole, whole[-1:] + beyond
        for label, mine in curve_ends(outcomes, records.runs, records.trials, rule, value).groupby("label", sort=False):
            series[str(label)]["ends"][name] = _rows(mine, ("mean", "low", "high"), base)[0]
    metric = metric_of(outcomes)
    title = f"Test {metric} of the incumbent over what was spent"
    return _chart("steps", title, metric, axes, [one for one in series.values() if one["rows"]])


def _parts_of_curve(curve: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of one policy's mean curve at which something changes: as far as all replicates spent, and beyond."""
    whole = curve["spending"] == curve["n"]
    last = whole != whole.shift(-1, fill_value=False)
    changes = curve["mean"].diff().ne(0) | last | (curve["cost"] == curve["cost"].max())
    return curve[changes & whole], curve[changes & ~whole]


def pareto_chart(records: Records, comparison: int) -> Chart | None:
    """One point a policy: mean test score ± standard deviation over its mean cost, in every measured currency.

    ``front``: by axis, the points [cost, score] that no other point beats in both, the cheapest first.
    """
    outcomes = records.outcomes[records.outcomes["comparison"] == comparison]
    axes: dict[str, Chart] = {}
    series = _series(list(outcomes["label"].unique()))
    front: dict[str, list[list[float | None]]] = {}
    for currency in CURRENCIES:
        points = pareto_points(outcomes, currency)
        points = points.assign(low=points["accuracy"] - points["std"], high=points["accuracy"] + points["std"])
        if points.empty:
            continue
        axes[currency], base = _axis(currency, points["cost"])
        for label, mine in points.groupby("label", sort=False):
            series[str(label)]["rows"][currency] = _rows(mine, ("accuracy", "low", "high"), base)
        best = _rows(points[points["front"]].sort_values("cost"), ("accuracy", "low", "high"), base)
        front[currency] = [[cost, accuracy] for cost, accuracy, *_ in best]
    metric, drawn = metric_of(outcomes), [one for one in series.values() if one["rows"]]
    chart = _chart("points", f"{at_start(metric)} over cost", metric, axes, drawn)
    return chart | {"front": front} if chart else None


def target_chart(records: Records, comparison: int) -> Chart | None:
    """The share of runs that have not reached the target yet over what was spent, in every measured currency."""
    outcomes = records.outcomes[records.outcomes["comparison"] == comparison]
    axes: dict[str, Chart] = {}
    series = _series(list(outcomes["label"].unique()))
    target = np.nan
    for currency in CURRENCIES:
        curves = survival_table(outcomes, records.runs, records.trials, accounting=Accounting(currency=currency))
        if curves.empty:
            continue
        target = float(curves["target"].iloc[0])
        axes[currency], base = _axis(currency, curves["cost"])
        # It starts at a cost of 0, which a log axis has no place for.
        axes[currency]["log"] = False
        for label, mine in curves.assign(low=np.nan, high=np.nan).groupby("label", sort=False):
            series[str(label)]["rows"][currency] = _rows(mine, ("missing", "low", "high"), base)
    metric, drawn = metric_of(outcomes), [one for one in series.values() if one["rows"]]
    chart = _chart("steps", "Runs short of the target", metric, axes, drawn)
    return chart | {"y": f"runs still below {percentage(target)} % validation {metric}, %"} if chart else None


def tau_chart(records: Records, comparison: int) -> Chart | None:
    """The test score by constant τ, with 95 % t intervals over replicates."""
    by_tau = accuracy_by_tau(records.outcomes, records.trials)
    by_tau = by_tau[by_tau["comparison"] == comparison].rename(columns={"tau": "cost"})
    if by_tau.empty:
        return None
    series = look(["constant τ"])["constant τ"] | {"rows": {"tau": _rows(by_tau, ("mean", "low", "high"), 1.0)}}
    axes: dict[str, Chart] = {"tau": {"label": "τ", "unit": "= τ", "log": False}}
    metric = metric_of(records.outcomes[records.outcomes["comparison"] == comparison])
    return _chart("line", f"Test {metric} by τ", metric, axes, [series])


def parts_chart(records: Records, comparison: int, what: str) -> Chart | None:
    """Where what (a key of ``PARTS``) each policy spent went: title, unit, parts, and a row (label, values) a policy.

    Means over replicates in the shown unit; a part that no policy has is left out, one that a policy lacks is NaN.
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
    return {"title": PART_TITLES[what], "unit": unit, "parts": list(map(str, frame.columns)), "rows": rows}


def _series(labels: list[str]) -> dict[str, Chart]:
    return {label: {**style, "rows": {}} for label, style in look(labels).items()}


def _axis(currency: str, costs: pd.Series) -> tuple[Chart, float]:
    unit, base = shown_unit(currency, costs)
    return {"label": unit if unit == currency else f"{currency} ({unit})", "unit": unit, "log": True}, base


def _chart(kind: str, title: str, metric: str, axes: dict[str, Chart], series: list[Chart]) -> Chart | None:
    return {"kind": kind, "title": title, "y": f"{metric} %", "axes": axes, "series": series} if series else None


def _rows(frame: pd.DataFrame, names: tuple[str, str, str], base: float) -> list[list[float | None]]:
    """[cost in the shown unit, mean, low, high in percent]; what is not known is null."""
    rows = []
    for row in as_rows(frame):
        values = [row["cost"] / base, *(100 * row[name] for name in names)]
        rows.append([float(f"{value:.6g}") if np.isfinite(value) else None for value in values])
    return rows
