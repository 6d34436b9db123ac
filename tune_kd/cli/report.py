"""``report``: the ranking again, from the store alone."""

from __future__ import annotations

from typing import Annotated

import typer

from tune_kd.cli.app import app, example
from tune_kd.cli.choices import FORMATS, ORDERS, one_of
from tune_kd.cli.options import OPTIONS, option
from tune_kd.cli.tables import print_tables
from tune_kd.errors import StoreError, unknown


@app.command(epilog=example("tune-kd report", "tune-kd report runs --by accuracy --format md"))
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
            "energy: least first; accuracy: best first; named: as the policies were.",
            "NAME",
            complete=one_of(ORDERS),
        ),
    ] = "energy",
) -> None:
    """Show the ranking of everything in a store, a table for each scenario and budget."""
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    if by not in ORDERS:
        raise unknown("order", by, ORDERS)
    from tune_kd.store import open_store

    records = open_store(store)
    runs = records.runs()
    if runs.empty:
        raise StoreError(f"there are no runs in the store {store}; `tune-kd run --store {store}` makes one")
    print_tables(runs, records.trials(), records.nodes(), order=by, form=form)
