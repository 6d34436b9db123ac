"""``watch``: a store while it is written, as a page or in the terminal."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from tune_kd.api.watch import EVERY_S, PORT, check
from tune_kd.api.watch import watch as served
from tune_kd.cli.app import app, example
from tune_kd.cli.options import OPTIONS, option
from tune_kd.cli.shown.ranking_tables import show


@app.command(
    epilog=example(
        "tune-kd watch",
        "tune-kd watch /shared/runs --port 0",
        "tune-kd watch --host 0.0.0.0",
        "tune-kd watch --text",
    )
)
def watch(
    store: Annotated[str, typer.Argument(help="Where the records are.", metavar="STORE")] = "./runs",
    *,
    text: Annotated[
        bool, option(OPTIONS, "Show it in the terminal instead; into a pipe once, as it is now.", "", "--text")
    ] = False,
    port: Annotated[int, option(OPTIONS, "The page's port; 0: any that is free.", "N")] = PORT,
    host: Annotated[
        str,
        option(
            OPTIONS,
            "The address to serve it at. Beyond this machine it needs the token that is printed with it; it is not "
            "encrypted.",
            "ADDRESS",
        ),
    ] = "127.0.0.1",
    every: Annotated[float, option(OPTIONS, "Seconds between two looks at the store, at least.", "S")] = EVERY_S,
) -> None:
    """Show the runs of a store while they are under way, on a page that keeps itself up to date; Ctrl-C ends it."""
    with suppress(KeyboardInterrupt):
        if text:
            check(port, every)
            _in_the_terminal(store, every)
            return
        with served(store, port=port, host=host, every=every) as server:
            print(f"{store} is shown at {server.url}; Ctrl-C ends it", flush=True)
            server.wait()


def _in_the_terminal(store: str, every_s: float) -> None:
    from rich.console import Console, Group
    from rich.live import Live

    from tune_kd.api.watching.seen import as_text, look, steadily
    from tune_kd.store import open_store

    opened, console = open_store(store), Console(highlight=False)
    if not console.is_terminal:
        show(*as_text(look(opened)))
        return
    with Live(console=console, auto_refresh=False) as live:
        for shown in steadily(opened, every_s):
            live.update(Group(*shown), refresh=True)
