"""``explain``: what teacher and students see in a few images, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from tune_kd.cli.app import app, example, say
from tune_kd.cli.options import OPTIONS, option
from tune_kd.cli.recorded import Cache, DataRoot, Where, folder, opened
from tune_kd.cli.shown.ranking_tables import show
from tune_kd.errors import InputError, StoreError

if TYPE_CHECKING:
    from analysis.figures.explanations import Explanation
    from analysis.runs.reading import Records
    from tune_kd.store import Store

FORMS = ("png", "pdf")


class _Place(NamedTuple):
    """Where records, checkpoints and data are."""

    store: Store
    cache: str | None
    data_root: Path | None


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
    if not tau > 0:
        raise InputError(f"--tau must be > 0, got {tau:g}")
    wanted = _wanted(images or [])
    place = _Place(opened(store, cache), cache, folder(data_root))
    records = _records(place.store, what)
    from analysis.figures.explanations import explanations

    found = explanations(records)
    if not found:
        raise StoreError(f"{what} has nothing to draw: no tested incumbent with the logits of example images")
    for comparison, one in found.items():
        if wanted is not None or layer is not None:
            one = _asked_again(one, records, comparison, wanted, layer, place)
        elif one.examples.pictures is None:
            one = _with_pictures(one, records, comparison, place)
        _show(one, Path(out), f"-{comparison}" if len(found) > 1 else "", tau, cells)


def _wanted(given: Sequence[str]) -> int | list[Path] | None:
    """A number of test images, or files; None where nothing was given. Raises InputError."""
    if not given:
        return None
    if len(given) == 1 and given[0].lstrip("-").isdigit():
        count = int(given[0])
        if count < 1:
            raise InputError(f"--images must be at least 1, got {count}")
        return count
    files = [Path(name).expanduser() for name in given]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise InputError(f"--images takes a number or image files, and there is no file {missing[0]!r}")
    return files


def _records(store: Store, what: str) -> Records:
    """Those of a study with all its parts, or of a single run. Raises InputError for an id that is neither."""
    from analysis.runs.reading import read
    from tune_kd.store.reading.run_list import named

    runs = named(store.runs(["run_id", "study_id"]), what)
    if what not in set(runs["run_id"]):
        return read(store, study_id=what)
    whole = read(store, study_id=runs["study_id"].iloc[0])
    own = whole.outcomes[whole.outcomes["run_id"] == what]
    # A run that was stopped is no replicate, but what its incumbent sees can be asked.
    return replace(whole, outcomes=own.assign(counted=own["test_score"].notna()))


def _first_run(records: Records, comparison: int) -> str:
    """A run of the comparison; one that has a teacher, if any has."""
    mine = records.outcomes[(records.outcomes["comparison"] == comparison) & records.outcomes["counted"]]
    rows = records.runs.drop_duplicates("run_id").set_index("run_id").loc[mine["run_id"]]
    taught = rows.index[rows["teacher_id"].notna()]
    return str((taught if len(taught) else rows.index)[0])


def _asked_again(
    found: Explanation,
    records: Records,
    comparison: int,
    wanted: int | list[Path] | None,
    layer: str | None,
    place: _Place,
) -> Explanation:
    from analysis.figures.explanations import asked_again
    from tune_kd.history.explain_again import explain_again

    of_trial = records.outcomes.set_index("incumbent")["run_id"]
    trials = {one.trial_id: str(of_trial[one.trial_id]) for one in found.networks if one.trial_id is not None}
    asked = explain_again(
        _first_run(records, comparison),
        trials,
        images=len(found.examples) if wanted is None else wanted,
        layer=layer,
        **place._asdict(),
    )
    return asked_again(
        found,
        names=asked.names,
        labels=asked.labels,
        pictures=asked.pictures,
        teacher=asked.teacher,
        students=asked.students,
    )


def _with_pictures(found: Explanation, records: Records, comparison: int, place: _Place) -> Explanation:
    """The same with the images out of their data set, which a user's own are not kept of; without, if they are gone."""
    from analysis.figures.explanations import with_pictures
    from tune_kd.history.explain_again import pictures_of_test

    run = _first_run(records, comparison)
    try:
        pictures = pictures_of_test(run, found.examples.indices, **place._asdict())
    except InputError as error:
        say(f"maps are drawn without their images: {error}")
        return found
    return with_pictures(found, pictures)


def _show(found: Explanation, into: Path, suffix: str, tau: float, cells: bool) -> None:
    from analysis.explanation import explanation_table
    from analysis.figures.explanation_plots import figures
    from analysis.figures.plots import save
    from analysis.rendering.table import rich_table

    show(rich_table(explanation_table(found)))
    drawn = ((f"{name}{suffix}", figure) for name, figure in figures(found, tau=tau, smooth=not cells))
    try:
        for file in save(lambda: drawn, into, FORMS):
            print(file)
    except OSError as error:
        raise InputError(f"{into} cannot be written: {error.strerror or error}") from None
