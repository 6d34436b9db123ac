"""``report``: the ranking again, from the store alone."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tune_kd.cli.app import app, example, say
from tune_kd.cli.options import with_options
from tune_kd.cli.report_options import Factors, Files, Layout
from tune_kd.cli.shown.ranking_tables import print_report


@app.command(
    epilog=example(
        "tune-kd report",
        "tune-kd report runs --by accuracy --format md",
        "tune-kd report runs --country DEU --html report.html",
        "tune-kd report runs --by flops --pdf figures/ --format latex",
        "tune-kd report runs --study latest",
        "tune-kd report runs --budget 50Wh",
        "tune-kd report runs --accounting own-pace",
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
    from tune_kd.api.reports import report

    shown = {name: value for name, value in asdict(layout).items() if name != "form"}
    found = report(store, **shown, **asdict(files), **asdict(factors))
    for line in found.files.values():
        say(line)
    if several := found.studies[1:]:
        first, count = found.studies[0], len(found.studies)
        say(f"all {count} studies of {store} together, {first} to {several[-1]}; --study latest shows one")
    print_report(found, layout.form)
