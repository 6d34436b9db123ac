"""What teacher and students see in a few images, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tune_kd.errors import InputError, StoreError
from tune_kd.progress.asked import with_display
from tune_kd.progress.base import Progress
from tune_kd.results.store import open_store
from tune_kd.results.tables import as_html

if TYPE_CHECKING:
    from analysis.figures.explanations import Explanation
    from analysis.rendering.table import Table
    from analysis.runs.reading import Records
    from tune_kd.store import Store

FORMS = ("png", "pdf")


@dataclass(frozen=True, kw_only=True, repr=False)
class Explanations:
    """What was drawn of a run or a study: a table a comparison, and the files of its figures."""

    what: str
    tables: Sequence[Table]
    files: Sequence[Path]

    def __repr__(self) -> str:
        return f"Explanations({self.what}: {len(self.files)} files in {self.files[0].parent if self.files else '-'})"

    def _repr_html_(self) -> str:
        return as_html(self.tables, repr(self))


class _Place(NamedTuple):
    """Where records, checkpoints and data are."""

    store: Store
    cache: str | Path | None
    data_root: Path | None


@with_display
def explain(
    what: str,
    *,
    images: int | Sequence[str | Path] | None = None,
    out: str | Path = "explained",
    tau: float = 4.0,
    layer: str | None = None,
    cells: bool = False,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    data_root: str | Path | None = None,
    progress: Progress,
) -> Explanations:
    """Draw what teacher and students say of a few images, where they look (Grad-CAM), and how sure they are.

    ``what`` is the id of a run or a study. ``images`` is a number of test images, or image files; without it those
    that the tests have kept, drawn from the store alone. Figures go to the folder ``out``, as PNG and as PDF. Raises
    InputError, or StoreError where there is nothing to draw.
    """
    if not tau > 0:
        raise InputError(f"--tau must be > 0, got {tau:g}")
    wanted = _wanted(images)
    place = _Place(open_store(store, cache=cache), cache, None if data_root is None else Path(data_root))
    records = _records(place.store, what)
    from analysis.explanation import explanation_table
    from analysis.figures.explanations import explanations

    found = explanations(records)
    if not found:
        raise StoreError(f"{what} has nothing to draw: no tested incumbent with the logits of example images")
    tables, files = [], []
    for comparison, one in found.items():
        if wanted is not None or layer is not None:
            one = _asked_again(one, records, comparison, wanted, layer, place)
        elif one.examples.pictures is None:
            one = _with_pictures(one, records, comparison, place, progress)
        tables.append(explanation_table(one))
        files += _drawn(one, Path(out), f"-{comparison}" if len(found) > 1 else "", tau, cells)
    return Explanations(what=what, tables=tables, files=files)


def _wanted(given: int | Sequence[str | Path] | None) -> int | list[Path] | None:
    """A number of test images, or files; None where nothing was given. Raises InputError."""
    if given is None:
        return None
    if isinstance(given, int):
        if given < 1:
            raise InputError(f"--images must be at least 1, got {given}")
        return given
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


def _with_pictures(
    found: Explanation, records: Records, comparison: int, place: _Place, progress: Progress
) -> Explanation:
    """The same with the images out of their data set, which a user's own are not kept of; without, if they are gone."""
    from analysis.figures.explanations import with_pictures
    from tune_kd.history.explain_again import pictures_of_test

    run = _first_run(records, comparison)
    try:
        pictures = pictures_of_test(run, found.examples.indices, **place._asdict())
    except InputError as error:
        progress.note(f"maps are drawn without their images: {error}")
        return found
    return with_pictures(found, pictures)


def _drawn(found: Explanation, into: Path, suffix: str, tau: float, cells: bool) -> list[Path]:
    """The files of the figures of one comparison."""
    from analysis.figures.explanation_plots import figures
    from analysis.figures.files import save

    drawn = ((f"{name}{suffix}", figure) for name, figure in figures(found, tau=tau, smooth=not cells))
    try:
        return save(lambda: drawn, into, FORMS)
    except OSError as error:
        raise InputError(f"{into} cannot be written: {error.strerror or error}") from None
