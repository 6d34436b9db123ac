"""Charts drawn on the axes that are given, by matplotlib.

No arithmetic here: every function draws what :mod:`analysis.figures.charts` or :mod:`analysis.figures.data` computed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.across import Across
from analysis.figures.charts import Chart, marked
from analysis.figures.labels import Box, placed
from analysis.figures.marks import BLACK, COLOURS, Marks
from analysis.figures.synthesised import Sheet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

LETTERS = 36  # of a line beside an axis
NAME_SIZE = 5.5  # points, of the name of a curve or a point
MARKERS = {"circle": "o", "square": "s", "up": "^", "diamond": "D", "down": "v", "cross": "P"}


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
    ax.set(xlabel=chart["axes"][axis]["label"], ylabel=textwrap.fill(chart["y"], LETTERS))
    if chart["axes"][axis]["log"]:
        _log_axis(ax)
    elif np.ptp(ax.get_xlim()) > 4:
        ax.locator_params(axis="x", integer=True)  # τ is mostly whole


def _bars(rows: np.ndarray, ax: Axes, style: dict[str, Any]) -> None:
    """Points with their intervals; rows [x, y, low, high]."""
    x, y, low, high = rows.T
    ax.errorbar(x, y, yerr=(y - low, high - y), linestyle="none", elinewidth=0.7, capsize=1.5, **style)


def name_points(chart: Chart, axis: str, ax: Axes) -> None:
    """Write the name of each series of points or steps beside its marker, where there is room; after the layout."""
    points = marked(chart, axis)
    scale = ax.figure.dpi / 72
    at = ax.transData.transform([point[:2] for _, point in points]) / scale
    names = [_beside(ax, point, (0.0, 0.0), series["label"]) for series, point in points]
    widths = [name.get_window_extent().width / scale for name in names]
    area = Box(*(edge / scale for edge in ax.get_window_extent().extents))
    boxes = placed([(x, y) for x, y in at], widths, NAME_SIZE * 1.25, area)
    for name, (_, point), (x, y), box in zip(names, points, at, boxes, strict=True):
        name.remove()
        if box is not None:
            right, up = box.left > x, (box.bottom + box.top) / 2 - y
            near = (box.left if right else box.right) - x
            _beside(ax, point, (near, up), name.get_text(), ha="left" if right else "right")
            if up:
                line = {"arrowstyle": "-", "linewidth": 0.3, "shrinkA": 0, "shrinkB": 2}
                _beside(ax, point, (near, up), "", arrowprops=line)


def _beside(ax: Axes, point: Sequence[float], by: tuple[float, float], text: str, **style: Any) -> Annotation:
    """A text ``by`` so many points beside a point, on white: a line may be under it."""
    white = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.3}
    where: Any = {"xy": (point[0], point[1]), "xytext": by, "textcoords": "offset points"}
    name = ax.annotate(text, **where, fontsize=NAME_SIZE, va="center", bbox=white if text else None, **style)
    name.set_in_layout(False)
    return name


def plot_parts(chart: Chart, ax: Axes) -> None:
    """Stacked bars, one a policy (:func:`analysis.figures.charts.parts_chart`)."""
    labels, values = [label for label, _ in chart["rows"]], np.nan_to_num([parts for _, parts in chart["rows"]])
    ends = np.cumsum(values, axis=1)
    for i, part in enumerate(chart["parts"]):
        ax.barh(labels, values[:, i], left=ends[:, i - 1] if i else 0.0, color=COLOURS[i], label=part, height=0.7)
    if any(np.isfinite(bound) for _, low, high in chart["totals"] for bound in (low, high)):
        middle, low, high = np.array(chart["totals"], dtype=float).T
        bars: dict[str, Any] = {"linestyle": "none", "color": BLACK, "elinewidth": 0.7, "capsize": 1.5}
        ax.errorbar(middle, labels, xerr=(middle - low, high - middle), **bars)
    ax.set(xlabel=chart["x"])
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


def plot_profile(profile: pd.DataFrame, marked: Marks, currency: str, ax: Axes) -> None:
    """Performance profiles (:func:`analysis.across.performance_profile`), as steps."""
    for name in map(str, profile.columns):
        ax.plot(profile.index, profile[name], drawstyle="steps-post", **{**_style(marked[name]), "marker": ""})
    ax.set(xlabel=f"{currency} to target over the least", ylabel="share of scenarios", ylim=(0, 1.02))
    _log_axis(ax)


def _style(series: Chart) -> dict[str, Any]:
    """A policy's look, as matplotlib has it; its dashes are half of SVG's."""
    dash = series["dash"]
    return {
        "color": BLACK if series["colour"] == "currentColor" else series["colour"],
        "linestyle": (0.0, [float(length) / 2 for length in dash.split()]) if dash else "-",
        "marker": MARKERS[series["marker"]],
        "markeredgecolor": BLACK,  # yellow and light blue are faint on paper
        "markeredgewidth": 0.3,
        "label": series["label"],
    }


def _log_axis(ax: Axes) -> None:
    """Ticks at 1, 2 and 5 in plain numbers: the default labels collide in a narrow figure."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
