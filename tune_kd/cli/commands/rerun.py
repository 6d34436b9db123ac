"""``rerun`` and ``export``: a recorded trial once more, and the student that a run chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tune_kd.cli.app import FAILED, app, example, say
from tune_kd.cli.options import OPTIONS, option
from tune_kd.cli.recorded import Cache, DataRoot, Where
from tune_kd.cli.shown.ranking_tables import show
from tune_kd.terminal.listing import Listing, table_of

if TYPE_CHECKING:
    from tune_kd.history.rerun import Repeat


@app.command(epilog=example("tune-kd rerun 20260301-120000-1a2b-grid-r0-0003"))
def rerun(
    trial: Annotated[str, typer.Argument(help="The id of a trial that ended.", metavar="TRIAL")],
    *,
    store: Where = "./runs",
    cache: Cache = None,
    data_root: DataRoot = None,
) -> None:
    """Train a recorded trial again, and say what differs; exit code 1 if its results do. Nothing is recorded."""
    from tune_kd.api.recorded_runs import rerun
    from tune_kd.progress.displays import choose_progress

    found = rerun(trial, store=store, cache=cache, data_root=data_root, progress=choose_progress(quiet=False))
    show(table_of(_beside(found)))
    for difference in found.surroundings:
        print(f"not as it was: {difference}")
    if found.differences:
        say(f"{trial} does not repeat: {len(found.differences)} of its {len(found.recorded)} results differ")
        raise typer.Exit(FAILED)
    print(f"{trial} repeats: all of its {len(found.recorded)} results are as recorded")


@app.command(epilog=example("tune-kd export 20260301-120000-1a2b-grid-r0 --best student"))
def export(
    run: Annotated[str, typer.Argument(help="The id of a run: see tune-kd store ls.", metavar="RUN")],
    *,
    best: Annotated[
        str, option(OPTIONS, "Where to write the incumbent: student.pt or .pt2, .onnx, record.json.", "DIR")
    ],
    store: Where = "./runs",
    cache: Cache = None,
    data_root: DataRoot = None,
) -> None:
    """Write the student that a run chose, as a state_dict (int8: a graph) and as ONNX, with its record."""
    from tune_kd.api.recorded_runs import export

    for file in export(run, best=best, store=store, cache=cache, data_root=data_root):
        print(file)


def _beside(found: Repeat) -> Listing:
    """The results that are numbers, recorded and repeated; of a table of counts, whether it is the same."""
    rows = []
    for name, then in found.recorded.items():
        now = found.repeated.get(name)
        pair = ("", "") if isinstance(then, list) else (str(then), str(now))
        rows.append((name, *pair, "same" if then == now else "differs"))
    return Listing(headers=("result", "recorded", "now", ""), rows=rows)
