"""``doctor``: what this machine can do, and how to make it do more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tune_kd.cli.app import FAILED, app, example
from tune_kd.cli.options import CACHE, OPTIONS, STORE, option
from tune_kd.cli.shown.ranking_tables import show, width

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tune_kd.checks import Check

STYLES = {"ok": "green", "–": "dim", "warn": "yellow", "FAIL": "bold red"}
NARROW = 50  # columns below which three beside each other leave too little to the third


@app.command(epilog=example("tune-kd doctor", "tune-kd doctor --start-ray", "tune-kd doctor --address auto"))
def doctor(
    store: Annotated[str, option(OPTIONS, "Where records would go.", STORE)] = "./runs",
    cache: Annotated[
        str | None, option(OPTIONS, "Where teachers, data and checkpoints would live.", "DIR|URL", default=CACHE)
    ] = None,
    start_ray: Annotated[bool, option(OPTIONS, "Start Ray too and run a task on it.", "", "--start-ray")] = False,
    address: Annotated[
        str | None, option(OPTIONS, "A running Ray cluster whose nodes to look at: auto or HOST:PORT.", "ADDRESS")
    ] = None,
) -> None:
    """Check Python, Ray, GPUs, energy readers, disk and memory; exit code 1 if something makes a run impossible."""
    from tune_kd.checks import FAIL, examine, worst
    from tune_kd.storage.cache import cache_at

    checks = []
    for check in examine(store=store, cache=cache_at(cache), start_ray=start_ray, address=address):
        show(line(check, width()))
        checks.append(check)
    if worst(checks) == FAIL:
        raise typer.Exit(FAILED)


def line(check: Check, room: int) -> RenderableType:
    """A check as a row: its mark, what was looked at, what was found and below it what to do. Narrow, as lines."""
    from rich.table import Table
    from rich.text import Text

    if room < NARROW:
        said = [f"{check.mark} {check.name}", check.found, *([f"→ {check.advice}"] if check.advice else [])]
        return Text("\n".join(said), overflow="fold")

    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=4)
    row.add_column(width=13)
    row.add_column(overflow="fold")
    advice = f"\n→ {check.advice}" if check.advice else ""
    row.add_row(Text(check.mark, STYLES[check.mark]), Text(check.name, "bold"), Text(check.found + advice))
    return row
