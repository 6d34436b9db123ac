"""``report``: the ranking again, from the store alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tune_kd.cli.app import app, example, say
from tune_kd.cli.options import with_options
from tune_kd.cli.report_options import Factors, Files, Layout
from tune_kd.cli.shown.ranking_tables import print_tables
from tune_kd.errors import InputError, StoreError

if TYPE_CHECKING:
    from analysis.runs.reading import Records


@app.command(
    epilog=example(
        "tune-kd report",
        "tune-kd report runs --by accuracy --format md",
        "tune-kd report runs --country DEU --html report.html",
        "tune-kd report runs --by flops --pdf figures/ --format latex",
        "tune-kd report runs --study latest",
        "tune-kd report runs --budget 50Wh",
    )
)
@with_options({})
def report(
    store: Annotated[str, typer.Argument(help="Where the records are.", metavar="STORE")] = "./runs",
    *,
    layout: Layout,
    files: Files,
    factors: Factors,
) -> None:
    """Show the ranking of everything in a store: costs, and with replicates verdicts, for each scenario and budget."""
    files.check_whole(layout.budget)
    records = factors.applied_to(
        _recorded(store, layout.study, epochs=files.html is not None or layout.budget is not None)
    )
    if layout.budget is not None:
        from tune_kd.cli.shown.replayed import print_replay

        print_replay(records, layout.budget, order=layout.by, form=layout.form, recomputed=factors.given)
        return
    _write_files(records, files, layout.by)
    print_tables(records, order=layout.by, form=layout.form, recomputed=factors.given)


def _recorded(store: str, study: str | None, *, epochs: bool) -> Records:
    """The records of the store, or of one study. Raises StoreError where there are none.

    A line says so if studies of several commands come together.
    """
    from tune_kd.store import open_store

    opened = open_store(store)  # a wrong name is told before pandas is loaded
    from analysis.runs.reading import read
    from tune_kd.store.ids import base_id

    records = read(opened, study_id=study, epochs=epochs)
    if records.runs.empty:
        raise StoreError(f"there are no runs in the store {store}; `tune-kd run --store {store}` makes one")
    studies = sorted(set(records.runs["study_id"].dropna().map(base_id)))
    if len(studies) > 1:
        say(f"all {len(studies)} studies of {store} together, {studies[0]} to {studies[-1]}; --study latest shows one")
    return records


def _write_files(records: Records, files: Files, by: str) -> None:
    """Write what was asked for, its costs in the currency of ``by``."""
    from analysis.runs.accounting import CURRENCIES

    currency = by if by in CURRENCIES else "energy"
    for name, file in files.paths.items():
        try:
            say(WRITERS[name](records, file, currency))
        except OSError as error:
            raise InputError(f"{file} cannot be written: {error.strerror}") from None


def _page(records: Records, file: Path, currency: str) -> str:
    from analysis import report as page

    page.write(records, file, currency=currency)
    return f"the page is {file}"


def _vectors(records: Records, file: Path, currency: str) -> str:
    from analysis.figures.plots import save_figures, save_pdf

    if file.suffix == ".pdf":
        return f"{save_pdf(records, file, currency=currency)} figures are the pages of {file}"
    return f"{len(save_figures(records, file, form='pdf', currency=currency))} figures are in {file}"


def _pictures(records: Records, folder: Path, currency: str) -> str:
    from analysis.figures.plots import save_figures

    return f"{len(save_figures(records, folder, form='png', currency=currency))} figures are in {folder}"


WRITERS = {"html": _page, "pdf": _vectors, "png": _pictures}
