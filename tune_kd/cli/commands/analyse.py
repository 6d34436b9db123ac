"""``analyse``: one of the analyses of ``analysis/``, from any folder."""

from __future__ import annotations

from typing import Annotated

import typer

from tune_kd.api.names import ANALYSES
from tune_kd.cli.app import app, example
from tune_kd.cli.choices import CURRENCIES, DOCUMENTS, one_of
from tune_kd.cli.options import OPTIONS, option


@app.command(
    epilog=example(
        "tune-kd analyse ranking",
        "tune-kd analyse target runs --by flops",
        "tune-kd analyse tables runs --format latex",
    )
)
def analyse(
    name: Annotated[
        str,
        typer.Argument(
            help=f"{', '.join(ANALYSES[:-1])} or {ANALYSES[-1]}.", metavar="NAME", autocompletion=one_of(ANALYSES)
        ),
    ],
    store: Annotated[str, typer.Argument(help="Where the records are.", metavar="STORE")] = "./runs",
    by: Annotated[
        str,
        option(OPTIONS, "What is counted: energy, flops, co2e, time or epochs.", "NAME", complete=one_of(CURRENCIES)),
    ] = "energy",
    form: Annotated[
        str,
        option(
            OPTIONS,
            "md, latex, csv or json; csv and json in base units.",
            "NAME",
            "--format",
            complete=one_of(DOCUMENTS),
        ),
    ] = "md",
) -> None:
    """Show one analysis of everything in a store: the same as `python -m analysis.NAME STORE`."""
    from analysis.rendering.table import check_form
    from tune_kd.api.reports import analyse

    check_form(form)
    print(analyse(name, store, by=by).text(form))
