"""Which runs there are to resume."""

from __future__ import annotations

from tune_kd.errors import InputError
from tune_kd.store import Store
from tune_kd.store.ids import base_id
from tune_kd.store.reading.run_list import named

UNFINISHED = ("planned", "running", "stopped", "lost")


def unfinished(store: Store, name: str | None) -> list[str]:
    """The ids of the unfinished runs of a run, a study, or the latest study that has any. Raises InputError."""
    runs = store.runs(["run_id", "study_id", "status"])
    left = runs[runs.status.isin(UNFINISHED)]
    if name is None:
        if left.empty:
            raise InputError(f"nothing to resume in {store.location}: all of its {len(runs)} runs have ended")
        name = base_id(left.study_id.max())  # ids begin with the time at which they were planned
    mine = named(runs, name)
    chosen = mine[mine.status.isin(UNFINISHED)]
    if chosen.empty:
        raise InputError(f"nothing to resume in {name}: its {len(mine)} runs are {', '.join(sorted(set(mine.status)))}")
    return list(chosen.run_id)
