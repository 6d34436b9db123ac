"""A recorded trial once more, and the student that a run chose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.errors import InputError
from tune_kd.history.trial_results import trial_row
from tune_kd.progress.asked import with_display
from tune_kd.progress.base import Progress
from tune_kd.results.store import open_store

if TYPE_CHECKING:
    from tune_kd.history.rerun import Repeat


@with_display
def rerun(
    trial: str,
    *,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    data_root: str | Path | None = None,
    progress: Progress,
) -> Repeat:
    """Train a recorded trial again, here and without Ray, and say what differs. Nothing is recorded.

    Raises InputError for a trial that is not in the store or did not end.
    """
    recorded = open_store(store, cache=cache)
    trial_row(recorded, trial)  # an id that is none is told before PyTorch is loaded
    progress.stage("loading PyTorch")
    from tune_kd.history import rerun as repeat

    return repeat.rerun(trial, store=recorded, cache=cache, data_root=_folder(data_root), progress=progress)


def export(
    run: str,
    *,
    best: str | Path,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    data_root: str | Path | None = None,
) -> list[Path]:
    """Write the student that a run chose to the new folder ``best``: its weights, ONNX and record; the files written.

    Raises InputError, also where the run has no trial that ended well or its checkpoint is gone.
    """
    recorded = open_store(store, cache=cache)
    recorded.show_run(run)  # an id that is none is told before PyTorch is loaded
    from tune_kd.history.export_student import export_best

    into = Path(best)
    if into.exists() and not (into.is_dir() and not any(into.iterdir())):
        raise InputError(f"{into} is there already; give a new or an empty folder")
    try:
        return export_best(run, into, store=recorded, cache=cache, data_root=_folder(data_root))
    except OSError as error:
        raise InputError(f"{into} cannot be written: {error.strerror or error}") from None


def _folder(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)
