"""``report``: the ranking again, from the store alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tune_kd.cli.app import app, example, say
from tune_kd.cli.choices import FORMATS, ORDERS, one_of
from tune_kd.cli.options import CARBON, OPTIONS, option
from tune_kd.cli.shown.ranking_tables import print_tables
from tune_kd.errors import InputError, StoreError, unknown

if TYPE_CHECKING:
    from analysis.runs.reading import Records

RECORDED = "as recorded"


@app.command(
    epilog=example(
        "tune-kd report",
        "tune-kd report runs --by accuracy --format md",
        "tune-kd report runs --country DEU --html report.html",
        "tune-kd report runs --by flops --pdf figures/ --format latex",
        "tune-kd report runs --budget 50Wh",
    )
)
def report(
    store: Annotated[str, typer.Argument(help="Where the records are.", metavar="STORE")] = "./runs",
    form: Annotated[
        str,
        option(
            OPTIONS,
            "table, md, csv, json or latex; csv and json in base units.",
            "NAME",
            "--format",
            complete=one_of(FORMATS),
        ),
    ] = "table",
    by: Annotated[
        str,
        option(
            OPTIONS,
            "energy, flops, co2e, time or epochs: least first; accuracy: best first; named: as the policies were.",
            "NAME",
            complete=one_of(ORDERS),
        ),
    ] = "energy",
    budget: Annotated[
        str | None,
        option(
            OPTIONS,
            "Cut every run where it had spent so much: 5trials, 100epochs, 3e15flops, 50Wh, 15g, 10min.",
            "AMOUNT",
            default=RECORDED,
        ),
    ] = None,
    html: Annotated[
        str | None, option(OPTIONS, "Write a page with figures and all the tables, too.", "FILE", default="none")
    ] = None,
    pdf: Annotated[
        str | None,
        option(
            OPTIONS,
            "Write the figures as vectors, too: all into FILE.pdf, or each into DIR.",
            "FILE|DIR",
            default="none",
        ),
    ] = None,
    png: Annotated[str | None, option(OPTIONS, "Write the figures as pictures, too.", "DIR", default="none")] = None,
    country: Annotated[
        str | None, option(CARBON, "Recompute CO2e with this country's energy mix.", "ISO", default=RECORDED)
    ] = None,
    carbon_intensity: Annotated[
        float | None, option(CARBON, "Recompute CO2e with so many g CO2e/kWh.", "X", default=RECORDED)
    ] = None,
    pue: Annotated[float | None, option(CARBON, "Recompute CO2e with this PUE.", "X", default=RECORDED)] = None,
) -> None:
    """Show the ranking of everything in a store: costs, and with replicates verdicts, for each scenario and budget."""
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    if by not in ORDERS:
        raise unknown("order", by, ORDERS)
    files = {"--html": html, "--pdf": pdf, "--png": png}
    for name in (name for name, file in files.items() if budget is not None and file is not None):
        raise InputError(f"{name} is of all that was recorded, --budget of a part of it; leave one of them out")
    from analysis.runs.reading import read
    from tune_kd.store import open_store

    records = read(open_store(store), epochs=html is not None or budget is not None)
    if records.runs.empty:
        raise StoreError(f"there are no runs in the store {store}; `tune-kd run --store {store}` makes one")
    given = {"country": country, "carbon_intensity": carbon_intensity, "pue": pue}
    recomputed = any(value is not None for value in given.values())
    if recomputed:
        from analysis.runs.carbon import recompute

        records = recompute(records, country=country, carbon_intensity=carbon_intensity, pue=pue)
    if budget is not None:
        from tune_kd.cli.shown.replayed import print_replay

        print_replay(records, budget, order=by, form=form, recomputed=recomputed)
        return
    _write_files(records, {name: Path(file) for name, file in files.items() if file is not None}, by)
    print_tables(records, order=by, form=form, recomputed=recomputed)


def _write_files(records: Records, files: Mapping[str, Path], by: str) -> None:
    """Write what the options of :func:`report` ask for, its costs in the currency of ``by``."""
    from analysis.runs.accounting import CURRENCIES

    currency = by if by in CURRENCIES else "energy"
    for name, file in files.items():
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


WRITERS = {"--html": _page, "--pdf": _vectors, "--png": _pictures}
