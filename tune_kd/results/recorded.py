"""What can be asked of recorded runs: the same of the outcome of a study and of a store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.errors import StoreError, unknown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.runs.reading import Records

FIRST = (
    *("comparison", "scenario", "label", "rank_best", "rank_worst", "verdict", "chosen", "replicates", "trials"),
    *("val_score_mean", "test_score_mean", "test_score_std", "difference", "low", "high"),
    *("energy_j", "flops_executed", "co2e_g", "duration_s", "epochs", "energy_ratio", "ratio"),
)
"""The columns of a ranking that people look at first."""


class Recorded(ABC):
    """Recorded runs. Costs are in base units (J, FLOP, g, s), scores are fractions; null is what was not measured.

    ``by`` is the currency that is counted: energy, flops, co2e, time or epochs. Runs that may not be compared, as of
    two scenarios, have different numbers in the column ``comparison``.
    """

    @abstractmethod
    def records(self, *, epochs: bool = False) -> Records:
        """The tables, with what each run came to; with ``epochs`` also the reports of every epoch."""

    def ranking(self, *, by: str = "energy") -> pd.DataFrame:
        """A row a policy and comparison: scores, costs, and the verdict on it against the reference.

        The least of ``by`` is first; ``accuracy``: the best first, ``named``: in their order. The columns are those of
        :func:`analysis.ranking.ranking`. Raises InputError for another order, StoreError without a run.
        """
        from analysis.ranking import ranking
        from analysis.summary import rank

        table = rank(ranking(self._known().outcomes, currency=currency_of(by)), by)
        first = [name for name in FIRST if name in table]
        return table[[*first, *table.columns.difference(first, sort=False)]].reset_index(drop=True)

    def verdicts(self, *, by: str = "energy") -> pd.DataFrame:
        """A row a pair of policies: their difference, its interval, the tests, the verdict, and the ratio of costs.

        The columns are those of :func:`analysis.ranking.pair_table`.
        """
        from analysis.ranking import pair_table

        return pair_table(self._known().outcomes, _checked(by))

    def curves(self, *, by: str = "energy") -> pd.DataFrame:
        """The mean test score of each policy's incumbent over what was spent, a row a step, with a 95 % t interval.

        Columns: comparison, label, cost, mean, low, high, n, spending (the replicates that spent so much or more).
        """
        from analysis.curves import mean_curves, run_curves
        from analysis.runs.accounting import Accounting

        records = self._known()
        accounting = Accounting(currency=_checked(by))
        return mean_curves(run_curves(records.outcomes, records.runs, records.trials, accounting))

    def figures(self, *, by: str = "energy") -> list[str]:
        """The names of all figures that the records allow."""
        from analysis.figures.drawings import figures

        return [name for name, _ in figures(self._known(), _checked(by))]

    def figure(
        self,
        name: str = "curves",
        *,
        by: str = "energy",
        ax: Axes | None = None,
        width: str | float | None = None,
        style: str | Path | None = None,
    ) -> Figure:
        """A figure of the report by its name, as in :meth:`figures`; drawn on ``ax``, in the caller's style, if given.

        The comparison's number may be left out of the name where there is one comparison. ``width`` is column, page or
        a number of inches, ``style`` a style of matplotlib's. Raises InputError.
        """
        from analysis.figures.drawings import named
        from analysis.figures.shown import in_style
        from analysis.figures.widths import inches

        drawing, wide = named(self._known(), name, _checked(by)), inches(width)
        if ax is not None:
            return drawing.on(ax)
        with in_style(style):
            figure = drawing.figure(wide)
            figure.draw_without_rendering()  # ticks get the style in which they are made
            return figure

    def report(self, file: str | Path, *, by: str = "energy") -> Path:
        """Write everything that the records show to a file: a page (.html), all figures (.pdf), or the tables.

        The tables are of the form that the name ends with: .md, .tex, .csv or .json. Raises InputError for another.
        """
        from tune_kd.results.writing import Writing, write_report

        return write_report(self._known(epochs=True), Path(file), Writing(currency=currency_of(by), order=by))

    def _known(self, *, epochs: bool = False) -> Records:
        records = self.records(epochs=epochs)
        if records.runs.empty:
            raise StoreError(f"there are no runs in {self!r}")
        return records

    def _repr_html_(self) -> str:
        from tune_kd.results.tables import as_html, ranking_tables

        records = self.records()
        title = repr(self)
        return as_html(() if records.outcomes.empty else ranking_tables(records), title)


def _checked(by: str) -> str:
    from analysis.runs.accounting import CURRENCIES

    if by not in CURRENCIES:
        raise unknown("currency", by, CURRENCIES)
    return by


def currency_of(by: str) -> str:
    """What costs are in where ``by`` is an order. Raises InputError for one that is none."""
    from analysis.runs.accounting import CURRENCIES
    from analysis.summary import ORDERS

    if by not in ORDERS:
        raise unknown("order", by, ORDERS)
    return by if by in CURRENCIES else "energy"
