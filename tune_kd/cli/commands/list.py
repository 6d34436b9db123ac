"""``list``: what there is to choose from, and what has been run."""

from __future__ import annotations

from typing import Annotated

import typer

from tune_kd.api.catalogues import listing
from tune_kd.api.names import KINDS
from tune_kd.api.study_list import Places, data_here, document, notes, scaled
from tune_kd.api.study_list import listing as study_listing
from tune_kd.cli.app import app, example
from tune_kd.cli.choices import one_of
from tune_kd.cli.options import CACHE, OPTIONS, STORE, option
from tune_kd.cli.shown.ranking_tables import print_json, show
from tune_kd.terminal.listing import table_of


@app.command(
    "list",
    epilog=example(
        "tune-kd list policies", "tune-kd list runs --store runs", "tune-kd list studies --data-root data --json"
    ),
)
def list_command(
    *,
    what: Annotated[
        str,
        typer.Argument(help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.", metavar="WHAT", autocompletion=one_of(KINDS)),
    ],
    store: Annotated[
        str, option(OPTIONS, "Whose runs; for studies, of whose records their energy is forecast.", STORE)
    ] = "./runs",
    cache: Annotated[
        str | None, option(OPTIONS, "For studies: where calibrations and data are kept.", "DIR", default=CACHE)
    ] = None,
    data_root: Annotated[
        str | None,
        option(OPTIONS, "For studies: where data sets with a name are looked for.", "DIR", default="in the cache"),
    ] = None,
    json: Annotated[bool, option(OPTIONS, "One JSON document instead of the table.", "", "--json")] = False,
) -> None:
    """Show what there is: policies, scenarios, studies, recipes, spaces, models, or the runs of a store."""
    if what == "studies":
        show_studies(Places(store=store, cache=cache, data_root=data_root), as_json=json)
        return
    found = listing(what, store)
    if json:
        print_json([dict(zip(found.headers, row, strict=True)) for row in found.rows])
        return
    show(table_of(found))


def show_studies(places: Places, *, as_json: bool) -> None:
    """The paper's tables and figures: their data, how much they train at each scale, and what it would cost."""
    rows, here = scaled(places), data_here(places)
    if as_json:
        print_json(document(rows, here, places))
        return
    show(table_of(study_listing(rows, here)))
    print()
    for line in notes(rows, here, places):
        print(line)
