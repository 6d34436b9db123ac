"""``explain``: what teacher and students see in a few images, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tune_kd.cli.app import app, example, say
from tune_kd.cli.options import OPTIONS, option
from tune_kd.cli.recorded import Cache, DataRoot, Where
from tune_kd.cli.shown.ranking_tables import show_tables
from tune_kd.progress.base import Progress


@app.command(
    epilog=example(
        "tune-kd explain 20260301-120000-1a2b",
        "tune-kd explain 20260301-120000-1a2b-stochastic-r0 --images 8 --out looks",
        "tune-kd explain 20260301-120000-1a2b --images cat.png --images dog.png",
    )
)
def explain(
    what: Annotated[str, typer.Argument(help="The id of a run or a study: see tune-kd store ls.", metavar="RUN|STUDY")],
    *,
    images: Annotated[
        list[str] | None,
        option(
            OPTIONS,
            "So many test images, or image files of your own; repeat it for more files.",
            "N|FILE",
            default="those that the tests have kept",
        ),
    ] = None,
    out: Annotated[str, option(OPTIONS, "Where the figures go, as PNG and as PDF.", "DIR")] = "explained",
    tau: Annotated[float, option(OPTIONS, "The temperature at which probabilities are shown softened.", "X")] = 4.0,
    layer: Annotated[
        str | None,
        option(OPTIONS, "The students' module whose maps are drawn.", "NAME", default="the last that has a map"),
    ] = None,
    cells: Annotated[bool, option(OPTIONS, "Draw the maps' own cells, not smoothed.", "", "--cells")] = False,
    store: Where = "./runs",
    cache: Cache = None,
    data_root: DataRoot = None,
) -> None:
    """Draw what teacher and students say of a few images, where they look (Grad-CAM), and how sure they are.

    What the tests have kept is drawn from the store alone. Other images and layers take the checkpoints.
    """
    from tune_kd.api.explanations import explain

    found = explain(
        what,
        images=_number_or_files(images),
        out=out,
        tau=tau,
        layer=layer,
        cells=cells,
        store=store,
        cache=cache,
        data_root=data_root,
        progress=Told(),
    )
    show_tables(found.tables)
    for file in found.files:
        print(file)


class Told(Progress):
    """Notes as lines of the command."""

    def note(self, text: str) -> None:
        say(text)


def _number_or_files(given: Sequence[str] | None) -> int | Sequence[str] | None:
    """What was typed, as :func:`tune_kd.api.explanations.explain` takes it."""
    if not given:
        return None
    return int(given[0]) if len(given) == 1 and given[0].lstrip("-").isdigit() else given
