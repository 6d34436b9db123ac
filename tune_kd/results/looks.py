"""How far recorded studies that stop once they are decided have come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tune_kd.history.unfinished import UNFINISHED
from tune_kd.store import Store
from tune_kd.store.reading.run_list import named

if TYPE_CHECKING:
    from analysis.until_decided import Standing


def standing_of(store: Store, study_id: str) -> Standing:
    """What a study with planned looks has come to at its last look.

    Its runs are judged together though they may have run on several machines: that matters to costs, not to scores.
    """
    from analysis.runs.reading import read
    from analysis.until_decided import standing

    return standing(read(store, study_id=study_id).outcomes)


def between_looks(store: Store, name: str | None) -> str | None:
    """The study all of whose planned runs have ended and that another look is due in, as after a kill between two.

    It is the study ``name``, or of that run, or the latest; None where that is no such study.
    """
    runs = store.runs(["run_id", "study_id", "status", "looks_json"])
    if name is not None:
        runs = named(runs, name)
    looking = runs[runs["looks_json"].notna()]
    if looking.empty or runs["status"].isin(UNFINISHED).any():
        return None
    study_id = str(looking["study_id"].max())  # ids begin with the time at which they were planned
    return study_id if standing_of(store, study_id).next_look is not None else None
