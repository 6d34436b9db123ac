"""``rerun`` and ``export``: a recorded trial once more, and the student that a run chose."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tune_kd.cli.app import FAILED, app, example, say
from tune_kd.cli.options import OPTIONS, option
from tune_kd.cli.recorded import Cache, DataRoot, Where, folder, opened
from tune_kd.cli.shown.ranking_tables import Listing, show, table_of
from tune_kd.errors import InputError

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
    from tune_kd.history.trial_results import trial_row

    recorded = opened(store, cache)
    trial_row(recorded, trial)  # an id that is none is told before PyTorch is loaded
    from tune_kd.progress.displays import choose_progress

    progress = choose_progress(quiet=False)
    progress.stage("loading PyTorch")
    with closing(progress):
        from tune_kd.history import rerun as repeat

        found = repeat.rerun(trial, store=recorded, cache=cache, data_root=folder(data_root), progress=progress)
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
    recorded = opened(store, cache)
    recorded.show_run(run)  # an id that is none is told before PyTorch is loaded
    from tune_kd.history.export_student import export_best

    into = Path(best)
    if into.exists() and not (into.is_dir() and not any(into.iterdir())):
        raise InputError(f"{into} is there already; give a new or an empty folder")
    try:
        files = export_best(run, into, store=recorded, cache=cache, data_root=folder(data_root))
    except OSError as error:
        raise InputError(f"{into} cannot be written: {error.strerror or error}") from None
    for file in files:
        print(file)


def _beside(found: Repeat) -> Listing:
    """The results that are numbers, recorded and repeated; of a table of counts, whether it is the same."""
    rows = []
    for name, then in found.recorded.items():
        now = found.repeated.get(name)
        pair = ("", "") if isinstance(then, list) else (str(then), str(now))
        rows.append((name, *pair, "same" if then == now else "differs"))
    return Listing(headers=("result", "recorded", "now", ""), rows=rows)
