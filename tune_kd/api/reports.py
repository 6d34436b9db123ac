"""What recorded runs came to: the ranking with files beside it, and each analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.api.names import ACCOUNTINGS, ANALYSES
from tune_kd.errors import InputError, StoreError, unknown
from tune_kd.results.recorded import currency_of
from tune_kd.results.store import open_store
from tune_kd.results.tables import as_html, data_tables, ranking_tables
from tune_kd.results.writing import Writing

if TYPE_CHECKING:
    import pandas as pd

    from analysis.rendering.table import Table
    from analysis.runs.reading import Records


@dataclass(frozen=True, kw_only=True, repr=False)
class Report:
    """Tables of recorded runs, for people and for machines, and the files that were written beside them."""

    title: str
    tables: Sequence[Table]  # rounded, in shown units
    data: Sequence[Table]  # in base units, costs and verdicts side by side
    notes: Sequence[str] = ()  # what a machine's tables do not say
    files: Mapping[Path, str] = field(default_factory=dict)  # what was written beside them, in words
    studies: Sequence[str] = ()  # whose runs come together

    def frame(self) -> pd.DataFrame:
        """All tables in base units as one; the column ``comparison`` tells them apart."""
        import pandas as pd

        return pd.concat([table.data for table in self.data], ignore_index=True)

    def text(self, form: str = "md") -> str:
        """All of it as md, latex, csv or json; csv and json in base units. Raises InputError for another form."""
        from analysis.rendering.table import render

        return render(self.data if form in ("csv", "json") else self.tables, form)

    def __repr__(self) -> str:
        return f"Report({self.title})"

    def _repr_html_(self) -> str:
        return as_html(self.tables, repr(self))


def report(
    store: str | Path = "./runs",
    *,
    by: str = "energy",
    study: str | None = None,
    budget: str | None = None,
    accounting: str = ACCOUNTINGS[0],
    html: str | Path | None = None,
    pdf: str | Path | None = None,
    png: str | Path | None = None,
    svg: str | Path | None = None,
    tex: str | Path | None = None,
    width: str | float | None = None,
    style: str | Path | None = None,
    country: str | None = None,
    carbon_intensity: float | None = None,
    pue: float | None = None,
) -> Report:
    """The ranking of everything in a store: costs, and with replicates verdicts, for each scenario and budget.

    ``by`` is the currency whose least is first, ``accuracy`` or ``named``. ``study`` is the id or name of one study, or
    latest; without it all of them come together. ``budget`` cuts every run where it had spent
    so much. ``accounting`` is of modelled RAM and idle energy: by-the-hour, as charged, or own-pace, of the time
    undisturbed. ``html`` (a file), ``pdf`` (a file or a folder), ``png``, ``svg`` and ``tex`` (folders) are written
    beside it, figures ``width`` wide (column, page or inches) and in a ``style`` of matplotlib's. ``country``,
    ``carbon_intensity`` (g CO2e/kWh) and ``pue`` recompute CO2e.
    Raises InputError, or StoreError for a store without runs.
    """
    places = {"html": html, "pdf": pdf, "png": png, "svg": svg, "tex": tex}
    wanted = {kind: Path(place) for kind, place in places.items() if place is not None}
    for kind in wanted if budget is not None else ():
        raise InputError(f"--{kind} is of all that was recorded, --budget of a part of it; leave one of them out")
    if accounting not in ACCOUNTINGS:
        raise unknown("accounting", accounting, ACCOUNTINGS)
    writing = Writing(currency=currency_of(by), order=by, width=width, style=style)
    recomputed = any(factor is not None for factor in (country, carbon_intensity, pue))
    records = _accounted(_recorded(store, study, epochs=html is not None or budget is not None), accounting)
    together = _studies(records)
    if recomputed:
        from analysis.runs.carbon import recompute

        records = recompute(records, country=country, carbon_intensity=carbon_intensity, pue=pue)
    if budget is not None:
        return replace(_replayed(records, str(store), budget, by, recomputed=recomputed), studies=together)
    return Report(
        title=str(store),
        files=writing.files(records, wanted),
        tables=ranking_tables(records, by, recomputed=recomputed),
        data=data_tables(records, by),
        notes=_sources(records, recomputed=recomputed),
        studies=together,
    )


def analyse(name: str, store: str | Path = "./runs", *, by: str = "energy") -> Report:
    """One analysis of everything in a store: across, curves, explanation, ranking, sensitivity, tables or target.

    ``by`` is the currency that is counted. Raises InputError or StoreError.
    """
    if name not in ANALYSES:
        raise unknown("analysis", name, ANALYSES)
    from importlib import import_module

    from analysis.command import analysed

    tables = analysed(import_module(f"analysis.{name}").tables, str(store), currency=by)
    return Report(title=f"{name} of {store}", tables=tables, data=tables)


def _studies(records: Records) -> list[str]:
    """The ids of the studies that come together, each with all of its parts."""
    from tune_kd.store.ids import base_id

    return sorted(set(records.runs["study_id"].dropna().map(base_id)))


def _recorded(store: str | Path, study: str | None, *, epochs: bool) -> Records:
    """The records of the store, or of one study. Raises StoreError where there are none."""
    records = open_store(store).records(epochs=epochs, study=study)
    if records.runs.empty:
        raise StoreError(f"there are no runs in the store {store}; `tune-kd run --store {store}` makes one")
    return records


def _accounted(records: Records, accounting: str) -> Records:
    """The records by the accounting that is asked for. Raises InputError where they do not have it."""
    if accounting == ACCOUNTINGS[0]:
        return records
    from analysis.runs.own_pace import at_own_pace

    return at_own_pace(records)


def _replayed(records: Records, store: str, budget: str, by: str, *, recomputed: bool) -> Report:
    """The ranking as it would be if every run had spent no more than ``budget``; ``records`` with their epochs."""
    from analysis.runs import replay
    from tune_kd.budget.amount import parse_budget

    limit = parse_budget(budget)
    done = replay.replay(records.runs, records.trials, records.reports, currency=limit.currency, limit=limit.limit)
    carbon = _sources(replace(records, trials=done.trials), recomputed=recomputed)
    tables = [replace(table, notes=[*table.notes, *carbon]) for table in replay.tables(done, records.nodes, order=by)]
    notes = list(dict.fromkeys(note for table in tables for note in table.notes))
    return Report(title=f"{store} at {budget}", tables=tables, data=tables, notes=notes)


def _sources(records: Records, *, recomputed: bool) -> list[str]:
    """By which factors joules became g CO2e, where that is not as recorded."""
    from analysis.runs.carbon import sources

    return sources(records.trials, recomputed) if recomputed else []
