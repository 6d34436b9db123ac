"""Figures for papers, by matplotlib, as vectors: the charts of the report, drawn on paper.

No arithmetic here: every function draws what :mod:`analysis.figures.charts` or :mod:`analysis.figures.data` computed.
No pyplot either: nothing global, no display. The same records give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.across import SCENARIOS_TO_TEST, Across, across, block_matrix, cost_blocks, performance_profile
from analysis.figures import explanation_plots
from analysis.figures.charts import (
    BLACK,
    COLOURS,
    PART_TITLES,
    Chart,
    curve_chart,
    look,
    pareto_chart,
    parts_chart,
    target_chart,
    tau_chart,
)
from analysis.figures.data import confusions
from analysis.figures.explanations import explanations
from analysis.figures.synthesised import Sheet, sheets
from analysis.figures.widths import COLUMN, PAGE
from analysis.runs.reading import Records
from tune_kd import errors

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = {"circle": "o", "square": "s", "up": "^", "diamond": "D", "down": "v", "cross": "P"}
FORMS = ("pdf", "svg", "png")
MANY = 8  # policies above which a legend takes the width of a page
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "pdf.fonttype": 42,  # letters stay letters, which journals ask for
    "svg.hashsalt": "tune-kd",
}
# What would say when a file was made.
UNDATED: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


def plot_chart(chart: Chart, axis: str, ax: Axes) -> None:
    """A chart of :mod:`analysis.figures.charts` over one axis: steps, a line with a band, or points with bars."""
    for series in chart["series"]:
        rows = np.array(series["rows"].get(axis, []), dtype=float).reshape(-1, 4)
        style = _style(series)
        dash = style.pop("linestyle")
        if chart["kind"] == "points":
            _bars(rows, ax, style)
            continue
        x, y, low, high = rows.T
        steps = chart["kind"] == "steps"
        drawn: dict[str, Any] = {"drawstyle": "steps-post" if steps else "default", "linestyle": dash}
        ax.fill_between(x, low, high, step="post" if steps else None, color=style["color"], alpha=0.13, lw=0)
        (line,) = ax.plot(x, y, **drawn, **style)
        if not steps:
            continue
        # A curve gets one marker, at its end: that of a single trial is hardly a line.
        end = series.get("ends", {}).get(axis)
        line.set_markevery([] if end else [-1])
        if end:
            beyond = np.array(series["beyond"][axis], dtype=float).reshape(-1, 4)
            ax.plot(beyond[:, 0], beyond[:, 1], **drawn, color=style["color"], alpha=0.35, linewidth=0.6)
            _bars(np.array([end], dtype=float), ax, {**style, "label": "_"})  # no second line in the legend
    if front := chart.get("front", {}).get(axis):
        ax.plot(*zip(*front, strict=True), drawstyle="steps-post", color=BLACK, linewidth=0.5, alpha=0.5, zorder=0)
    ax.set(xlabel=chart["axes"][axis]["label"], ylabel=chart["y"])
    if chart["axes"][axis]["log"]:
        _log_axis(ax)
    elif np.ptp(ax.get_xlim()) > 4:
        ax.locator_params(axis="x", integer=True)  # τ is mostly whole


def _bars(rows: np.ndarray, ax: Axes, style: dict[str, Any]) -> None:
    """Points with their intervals; rows [x, y, low, high]."""
    x, y, low, high = rows.T
    ax.errorbar(x, y, yerr=(y - low, high - y), linestyle="none", elinewidth=0.7, capsize=1.5, **style)


def plot_parts(chart: Chart, ax: Axes) -> None:
    """Stacked bars, one a policy (:func:`analysis.figures.charts.parts_chart`)."""
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


def plot_sheet(sheet: Sheet, ax: Axes) -> None:
    """Synthesised images, the classes that they were aimed at beside their rows."""
    pixels, pitch = sheet.pixels(), sheet.size + sheet.gap
    ax.imshow(pixels, cmap="gray" if pixels.ndim == 2 else None, interpolation="nearest")
    ax.set(xticks=[], yticks=[sheet.size / 2 + row * pitch for row in range(len(sheet.classes))], title=sheet.method)
    ax.set_yticklabels(sheet.classes)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def plot_ranks(result: Across, ax: Axes) -> None:
    """Mean ranks of policies, best first; where there was a test, scikit-posthocs' critical-difference diagram, whose
    bars join policies that are not told apart (Demšar 2006).
    """
    if result.nemenyi is not None:
        from scikit_posthocs import critical_difference_diagram

        black = dict.fromkeys(result.mean_ranks.index, BLACK)
        formats = {"label_fmt_left": "{label} {rank:.1f}", "label_fmt_right": "{rank:.1f} {label}"}
        critical_difference_diagram(result.mean_ranks, result.nemenyi, ax=ax, color_palette=black, **formats)
        return
    ranks, labels = result.mean_ranks.to_numpy(), result.mean_ranks.index.astype(str)
    ax.plot(ranks, labels, marker="o", linestyle="none", color=COLOURS[0])
    ax.set(xlabel=f"mean rank over {result.scenarios} scenarios (1 is best)")
    ax.grid(axis="y", alpha=0.3)
    ax.invert_yaxis()


def plot_profile(profile: pd.DataFrame, currency: str, ax: Axes) -> None:
    """Performance profiles (:func:`analysis.across.performance_profile`), as steps."""
    for name, style in look(list(map(str, profile.columns))).items():
        ax.plot(profile.index, profile[name], drawstyle="steps-post", **{**_style(style), "marker": ""})
    ax.set(xlabel=f"{currency} to target over the least", ylabel="share of scenarios", ylim=(0, 1.02))
    _log_axis(ax)


def figures(records: Records, currency: str = "energy") -> Iterator[tuple[str, Figure]]:
    """Every figure that the records allow, by name; what has no data has no figure."""
    for comparison in records.outcomes["comparison"].unique():
        yield from _charts(records, comparison, currency)
    for (comparison, label), matrix in confusions(records.outcomes, records.trials).items():
        figure, ax = _figure(height=COLUMN)
        plot_confusion(matrix, label, ax)
        yield f"confusion-{comparison}-{_file_name(label)}", figure
    for comparison, explanation in explanations(records).items():
        for name, figure in explanation_plots.figures(explanation):
            if name != "confusion":  # each policy has its own
                yield f"{name}-{comparison}", figure
    for comparison, sheet in sheets(records.outcomes, records.runs).items():
        figure, ax = _figure(height=0.3 + 0.3 * len(sheet.classes))
        plot_sheet(sheet, ax)
        yield f"synthesised-{comparison}", figure
    yield from across_scenarios(records, currency)


def _charts(records: Records, comparison: int, currency: str) -> Iterator[tuple[str, Figure]]:
    """The charts of one comparison, its costs in ``currency``."""
    for name, chart in (
        ("curves", curve_chart(records, comparison)),
        ("pareto", pareto_chart(records, comparison)),
        ("target", target_chart(records, comparison)),
        ("tau", tau_chart(records, comparison)),
    ):
        axis = "tau" if name == "tau" else currency
        if chart and axis in chart["axes"]:
            labels = [series["label"] for series in chart["series"]]
            figure, ax = _figure(width=PAGE if len(labels) > MANY else COLUMN)
            plot_chart(chart, axis, ax)
            yield f"{name}-{comparison}", _with_legend(figure, labels)
    for what in PART_TITLES:
        if parts := parts_chart(records, comparison, what):
            figure, ax = _figure(height=0.9 + 0.2 * len(parts["rows"]))
            plot_parts(parts, ax)
            yield f"{what}-{comparison}", _with_legend(figure, parts["parts"])


def across_scenarios(records: Records, currency: str = "energy") -> Iterator[tuple[str, Figure]]:
    """The figures over several scenarios, by name: mean ranks from 2 scenarios on, performance profiles from 8 on."""
    blocks = block_matrix(records.outcomes)
    if len(blocks) > 1 and blocks.shape[1] > 1:
        figure, ax = _figure(width=PAGE, height=0.9 + 0.2 * blocks.shape[1])
        plot_ranks(across(blocks), ax)
        yield "ranks", figure
    costs = cost_blocks(records.outcomes, records.runs, records.trials, currency)
    if len(costs) >= SCENARIOS_TO_TEST and costs.shape[1] > 1:
        figure, ax = _figure(width=PAGE if costs.shape[1] > MANY else COLUMN)
        plot_profile(performance_profile(costs), currency, ax)
        yield "profile", _with_legend(figure, list(map(str, costs.columns)))


def save_figures(records: Records, directory: Path, *, form: str = "pdf", currency: str = "energy") -> list[Path]:
    """Writes every figure to ``directory`` (made if missing) and gives the paths. Raises InputError for a form."""
    if form not in FORMS:
        raise errors.unknown("figure format", form, FORMS)
    return save(lambda: figures(records, currency), directory, [form])


def save(made: Callable[[], Iterable[tuple[str, Figure]]], directory: Path, forms: Sequence[str]) -> list[Path]:
    """Writes what ``made`` gives to ``directory`` (made if missing), each figure in every form; gives the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    with _our_style():
        for name, figure in made():
            for form in forms:
                paths.append(directory / f"{name}.{form}")
                figure.savefig(paths[-1], bbox_inches="tight", dpi=200, metadata=UNDATED[form])
    return paths


def save_pdf(records: Records, path: Path, *, currency: str = "energy") -> int:
    """Writes every figure as a page of one PDF, its folder made if missing; gives the number of pages."""
    from matplotlib.backends.backend_pdf import PdfPages

    path.parent.mkdir(parents=True, exist_ok=True)
    pages = 0
    with _our_style(), PdfPages(path, metadata=UNDATED["pdf"]) as pdf:
        for _, figure in figures(records, currency):
            pdf.savefig(figure, bbox_inches="tight")
            pages += 1
    return pages


@contextmanager
def _our_style() -> Iterator[None]:
    """matplotlib's defaults and :data:`STYLE`, whatever the user's own settings are; those come back afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def _figure(*, width: float = COLUMN, height: float = 2.4) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _with_legend(figure: Figure, labels: list[str]) -> Figure:
    """The legend below the axes, where no curve can be under it, and as much taller; none for a single series."""
    if len(labels) > 1:
        width, height = figure.get_size_inches()
        columns = max(1, min(len(labels), int(width / (0.065 * max(map(len, labels)) + 0.5))))
        figure.set_size_inches(width, height + 0.2 * -(-len(labels) // columns))
        handles, names = figure.axes[0].get_legend_handles_labels()
        # Lines before error bars would be matplotlib's order; ours is that of the tables.
        ordered = sorted(zip(handles, names, strict=True), key=lambda entry: labels.index(entry[1]))
        handles, names = [handle for handle, _ in ordered], [name for _, name in ordered]
        figure.legend(handles, names, loc="outside lower center", ncols=columns)
    return figure


def _style(series: Chart) -> dict[str, Any]:
    """A policy's look, as matplotlib has it; its dashes are half of SVG's."""
    dash = series["dash"]
    return {
        "color": BLACK if series["colour"] == "currentColor" else series["colour"],
        "linestyle": (0.0, [float(length) / 2 for length in dash.split()]) if dash else "-",
        "marker": MARKERS[series["marker"]],
        "label": series["label"],
    }


def _log_axis(ax: Axes) -> None:
    """Ticks at 1, 2 and 5 in plain numbers: the default labels collide in a narrow figure."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _file_name(label: str) -> str:
    """A label as a part of a file's name on every system, and in LaTeX."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", label).strip("-")
