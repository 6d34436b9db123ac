"""Figures for papers, by matplotlib, as vectors: the charts of the report, drawn on paper.

No arithmetic here: every function draws what :mod:`analysis.charts` or :mod:`analysis.views` computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.across import Across, across, block_matrix
from analysis.charts import BLACK, COLOURS, Chart, curve_chart, pareto_chart, parts_chart, tau_chart
from analysis.script import Records
from analysis.views import confusions
from tune_kd import errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = {"circle": "o", "square": "s", "up": "^", "diamond": "D", "down": "v", "cross": "P"}
FORMS = ("pdf", "svg", "png")


def plot_chart(chart: Chart, axis: str, ax: Axes) -> None:
    """A chart of :mod:`analysis.charts` over one of its axes: steps or a line with a band, or points with bars."""
    for series in chart["series"]:
        rows = np.array(series["rows"].get(axis, []), dtype=float).reshape(-1, 4)
        x, y, low, high = rows.T
        colour = BLACK if series["colour"] == "currentColor" else series["colour"]
        look = {"color": colour, "label": series["label"]}
        marker, dash = MARKERS[series["marker"]], _dash(series["dash"])
        if chart["kind"] == "points":
            ax.errorbar(x, y, yerr=(y - low, high - y), fmt=marker, capsize=2, **look)
            continue
        steps = chart["kind"] == "steps"
        ax.fill_between(x, low, high, step="post" if steps else None, color=colour, alpha=0.13, lw=0)
        # A curve gets one marker, at its end: that of a single trial is hardly a line.
        (line,) = ax.plot(x, y, drawstyle="steps-post" if steps else "default", linestyle=dash, **look)
        line.set(marker=marker, markersize=4, markevery=[-1] if steps and len(x) else None)
    ax.set(xlabel=chart["axes"][axis]["label"], ylabel=chart["y"])
    if chart["axes"][axis]["log"]:
        _log_axis(ax)


def plot_parts(chart: Chart, ax: Axes) -> None:
    """Stacked bars, one a policy (:func:`analysis.charts.parts_chart`)."""
    labels, values = [label for label, _ in chart["rows"]], np.nan_to_num([parts for _, parts in chart["rows"]])
    ends = np.cumsum(values, axis=1)
    for i, part in enumerate(chart["parts"]):
        ax.barh(labels, values[:, i], left=ends[:, i - 1] if i else 0.0, color=COLOURS[i], label=part, height=0.7)
    ax.set(xlabel=chart["unit"])
    ax.invert_yaxis()


def plot_confusion(matrix: np.ndarray, title: str, ax: Axes) -> None:
    """One confusion matrix, [classes, classes], rows the true classes."""
    ax.imshow(matrix, cmap="cividis")
    ax.set(xlabel="predicted class", ylabel="true class", title=title)


def plot_critical_difference(result: Across, ax: Axes) -> None:
    """Mean ranks on a line; a bar of the critical difference where there was a test (Demšar 2006)."""
    for i, (label, mean_rank) in enumerate(result.mean_ranks.items()):
        ax.plot(mean_rank, i, marker="o", color=COLOURS[0])
        ax.annotate(f" {label} {mean_rank:.2f}", (mean_rank, i), va="center")
    if result.critical_difference is not None:
        best = result.mean_ranks.iloc[0]
        ax.hlines(-0.8, best, best + result.critical_difference, color="black", linewidth=2)
        ax.annotate("critical difference", (best, -1.0), va="bottom")
    ax.set(xlabel="mean rank (1 is best)", yticks=[])
    ax.margins(x=0.3)
    ax.invert_yaxis()


def figures(records: Records, currency: str = "energy") -> Iterator[tuple[str, Figure]]:
    """Every figure that the records allow, by name; what has no data has no figure."""
    for comparison in records.outcomes["comparison"].unique():
        for name, chart in (
            ("curves", curve_chart(records, comparison)),
            ("pareto", pareto_chart(records, comparison)),
            ("tau", tau_chart(records, comparison)),
        ):
            axis = "tau" if name == "tau" else currency
            if chart and axis in chart["axes"]:
                figure, ax = _figure()
                plot_chart(chart, axis, ax)
                yield f"{name}-{comparison}", _with_legend(figure)
        for what in ("energy", "time"):
            if parts := parts_chart(records, comparison, what):
                figure, ax = _figure()
                plot_parts(parts, ax)
                yield f"{what}-{comparison}", _with_legend(figure)
    yield from _other_figures(records)


def save_figures(records: Records, directory: Path, *, form: str = "pdf", currency: str = "energy") -> list[Path]:
    """Writes every figure to ``directory`` (made if missing) and gives the paths. Raises InputError for a form."""
    if form not in FORMS:
        raise errors.unknown("figure format", form, FORMS)
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures(records, currency):
        paths.append(directory / f"{name}.{form}")
        figure.savefig(paths[-1], bbox_inches="tight", dpi=200)
    return paths


def save_pdf(records: Records, path: Path, *, currency: str = "energy") -> int:
    """Writes every figure as a page of one PDF; gives the number of pages."""
    from matplotlib.backends.backend_pdf import PdfPages

    pages = 0
    with PdfPages(path) as pdf:
        for _, figure in figures(records, currency):
            pdf.savefig(figure, bbox_inches="tight")
            pages += 1
    return pages


def _other_figures(records: Records) -> Iterator[tuple[str, Figure]]:
    for (comparison, label), matrix in confusions(records.outcomes, records.trials).items():
        figure, ax = _figure(square=True)
        plot_confusion(matrix, label, ax)
        yield f"confusion-{comparison}-{label.replace(' ', '-').replace('/', '-')}", figure
    blocks = block_matrix(records.outcomes)
    if len(blocks) > 1 and blocks.shape[1] > 1:
        figure, ax = _figure()
        plot_critical_difference(across(blocks), ax)
        yield "ranks", figure


def _figure(*, square: bool = False) -> tuple[Figure, Axes]:
    """A figure of a paper's column width. No pyplot: nothing global, nothing to close, no display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.5, 3.5) if square else (3.5, 2.6), layout="constrained")
    ax = figure.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax


def _with_legend(figure: Figure) -> Figure:
    """The legend below the axes, where no curve can be under it; none for a single series."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    return figure


def _log_axis(ax: Axes) -> None:
    """Ticks at 1, 2 and 5 in plain numbers: the default labels collide in a narrow figure."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _dash(svg: str) -> str | tuple[float, list[float]]:
    """SVG's dash array as matplotlib's."""
    return (0.0, [float(length) / 2 for length in svg.split()]) if svg else "-"
