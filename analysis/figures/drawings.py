"""Which figures some records allow, by name: each says how it is drawn, and is drawn when it is asked for.

No pyplot here: nothing global, no display.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from analysis.across import SCENARIOS_TO_TEST, across, block_matrix, cost_blocks, performance_profile
from analysis.figures import explanation_plots
from analysis.figures.by_value import alpha_chart, tau_chart
from analysis.figures.charts import (
    PART_TITLES,
    Chart,
    curve_chart,
    pareto_chart,
    parts_chart,
    target_chart,
)
from analysis.figures.data import confusions
from analysis.figures.explanations import explanations
from analysis.figures.marks import marks_of
from analysis.figures.plots import (
    name_points,
    plot_chart,
    plot_confusion,
    plot_parts,
    plot_profile,
    plot_ranks,
    plot_sheet,
)
from analysis.figures.shown import new_figure
from analysis.figures.synthesised import sheets
from analysis.figures.widths import COLUMN, PAGE
from analysis.runs.reading import Records
from tune_kd.errors import InputError, unknown

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MANY = 8  # policies above which a figure takes the width of a page, and names stand in it
TALL = 3.4  # inches of its height
OVER_COST = {"curves": curve_chart, "pareto": pareto_chart, "target": target_chart}
BY_VALUE = {"tau": tau_chart, "alpha": alpha_chart}
KINDS = (*OVER_COST, *BY_VALUE, *PART_TITLES, "confusion", *explanation_plots.NAMES, "synthesised", "ranks", "profile")
LETTER, HANDLE = 0.065, 0.5  # inches of a legend's entry
LINE = 0.2


class Drawing(Protocol):
    """A figure that is not drawn yet."""

    def figure(self, width: float | None = None) -> Figure:
        """A new figure, ``width`` inches wide; without it as wide as what is in it needs."""

    def on(self, ax: Axes) -> Figure:
        """The same on axes of the caller's, whose figure is given. Raises InputError where it takes several axes."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure of one pair of axes, with the entries of its legend in their order."""

    draw: Callable[[Axes], None]
    width: float = COLUMN
    height: float = 2.4
    entries: Sequence[str] = ()
    name: Callable[[Axes], None] | None = None  # writes names on what is drawn, once its place is known

    def figure(self, width: float | None = None) -> Figure:
        width = width or self.width
        columns = _columns(self.entries, width)
        legend = LINE * -(-len(self.entries) // columns) if len(self.entries) > 1 else 0.0
        figure = new_figure(width, self.height + legend)
        ax = figure.add_subplot()
        self.draw(ax)
        # The legend is below the axes, where no curve can be under it; none for a single series.
        if legend:
            figure.legend(*self._ordered(ax), loc="outside lower center", ncols=columns)
        if self.name is not None:
            figure.draw_without_rendering()
            self.name(ax)
        return figure

    def on(self, ax: Axes) -> Figure:
        self.draw(ax)
        if len(self.entries) > 1:
            ax.legend(*self._ordered(ax))
        figure = ax.get_figure(root=True)
        assert figure is not None, "axes have a figure"
        return figure

    def _ordered(self, ax: Axes) -> tuple[Sequence[Artist], Sequence[str]]:
        """Lines before error bars would be matplotlib's order; ours is that of the tables."""
        found = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        return [found[entry] for entry in self.entries if entry in found], [e for e in self.entries if e in found]


@dataclass(frozen=True, kw_only=True)
class Sheets:
    """A figure of several axes of its own."""

    name: str
    make: Callable[[], Figure]

    def figure(self, width: float | None = None) -> Figure:
        figure = self.make()
        if width is not None:
            was, height = figure.get_size_inches()
            figure.set_size_inches(width, height * width / was)
        return figure

    def on(self, ax: Axes) -> Figure:
        raise InputError(f"figure {self.name!r} has several axes of its own; leave out ax")


def figures(records: Records, currency: str = "energy", only: str | None = None) -> Iterator[tuple[str, Drawing]]:
    """Every figure that the records allow, or those of one kind (``curves``), by name (``curves-0``).

    What has no data has no figure. The number is that of the comparison.
    """
    for comparison in records.outcomes["comparison"].unique():
        yield from _charts(records, comparison, currency, only)
    if only in (None, "confusion"):
        for (comparison, label), matrix in confusions(records.outcomes, records.trials).items():
            draw = partial(plot_confusion, matrix, label)
            yield f"confusion-{comparison}-{_file_name(label)}", Plot(draw=draw, height=COLUMN)
    if only in (None, *explanation_plots.NAMES):
        yield from _explained(records, only)
    if only in (None, "synthesised"):
        for comparison, sheet in sheets(records.outcomes, records.runs).items():
            height = 0.3 + 0.3 * len(sheet.classes)
            yield f"synthesised-{comparison}", Plot(draw=partial(plot_sheet, sheet), height=height)
    yield from across_scenarios(records, currency, only)


def _charts(records: Records, comparison: int, currency: str, only: str | None) -> Iterator[tuple[str, Drawing]]:
    """The charts of one comparison, its costs in ``currency``."""
    for name, make in OVER_COST.items():
        if only in (None, name) and (chart := make(records, comparison, only=currency)):
            yield f"{name}-{comparison}", _chart(chart, currency)
    for name, of_value in BY_VALUE.items():
        if only in (None, name) and (chart := of_value(records, comparison)):
            yield f"{name}-{comparison}", _chart(chart, name)
    for what in PART_TITLES:
        if only in (None, what) and (parts := parts_chart(records, comparison, what)):
            height = 0.9 + 0.2 * len(parts["rows"])
            yield f"{what}-{comparison}", Plot(draw=partial(plot_parts, parts), height=height, entries=parts["parts"])


def _chart(chart: Chart, axis: str) -> Plot:
    labels = [series["label"] for series in chart["series"]]
    draw = partial(plot_chart, chart, axis)
    if len(labels) <= MANY:
        return Plot(draw=draw, entries=labels)
    name = partial(name_points, chart, axis) if chart["kind"] in ("points", "steps") else None
    return Plot(draw=draw, width=PAGE, height=TALL, entries=labels, name=name)


def _explained(records: Records, only: str | None) -> Iterator[tuple[str, Drawing]]:
    for comparison, explanation in explanations(records).items():
        for name, make in explanation_plots.drawings(explanation):
            if name != "confusion" and only in (None, name):  # each policy has its own confusion matrix
                yield f"{name}-{comparison}", Sheets(name=f"{name}-{comparison}", make=make)


def across_scenarios(
    records: Records, currency: str = "energy", only: str | None = None
) -> Iterator[tuple[str, Drawing]]:
    """The figures over several scenarios, by name: mean ranks from 2 scenarios on, performance profiles from 8 on."""
    if only in (None, "ranks"):
        yield from _ranks(records)
    if only in (None, "profile"):
        yield from _profile(records, currency)


def _ranks(records: Records) -> Iterator[tuple[str, Drawing]]:
    blocks = block_matrix(records.outcomes)
    if len(blocks) > 1 and blocks.shape[1] > 1:
        draw = partial(plot_ranks, across(blocks))
        yield "ranks", Plot(draw=draw, width=PAGE, height=0.9 + 0.2 * blocks.shape[1])


def _profile(records: Records, currency: str) -> Iterator[tuple[str, Drawing]]:
    costs = cost_blocks(records.outcomes, records.runs, records.trials, currency)
    if len(costs) >= SCENARIOS_TO_TEST and costs.shape[1] > 1:
        labels = list(map(str, costs.columns))
        draw = partial(plot_profile, performance_profile(costs), marks_of(records), currency)
        yield "profile", Plot(draw=draw, width=PAGE if len(labels) > MANY else COLUMN, entries=labels)


def named(records: Records, name: str, currency: str = "energy") -> Drawing:
    """The figure of that name. The comparison's number may be left out where there is one comparison.

    Raises InputError for a name that none of the records' figures has.
    """
    kind = next((one for one in KINDS if name == one or name.startswith(f"{one}-")), None)
    if kind is None:
        raise unknown("figure", name, KINDS)
    number = re.match(rf"{kind}-(\d+)", name)
    if number and int(number[1]) in set(records.outcomes["comparison"]):
        one = records.outcomes["comparison"] == int(number[1])
        records = replace(records, outcomes=records.outcomes[one])
    found = dict(figures(records, currency, kind))
    several = [whole for whole in found if re.sub(rf"^({kind})-\d+", r"\1", whole) == name]
    if name in found or len(several) == 1:
        return found[name if name in found else several[0]]
    if not found:
        raise InputError(f"there is no figure {name!r}: the records have no data for it in {currency}")
    raise unknown("figure", name, several or found)


def _columns(entries: Sequence[str], width: float) -> int:
    """How many entries of a legend are side by side in so many inches."""
    longest = max(map(len, entries), default=1)
    return max(1, min(len(entries), int(width / (LETTER * longest + HANDLE))))


def _file_name(label: str) -> str:
    """A label as a part of a file's name on every system, and in LaTeX."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", label).strip("-")
