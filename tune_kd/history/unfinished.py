"""Which runs there are to resume."""

from __future__ import annotations

from tune_kd.errors import InputError, unknown
from tune_kd.store import Store
from tune_kd.store.ids import base_id

UNFINISHED = ("planned", "running", "stopped", "lost")


def unfinished(store: Store, name: str | None) -> list[str]:
    """The ids of the unfinished runs of a run, a study, or the latest study that has any. Raises InputError."""
    runs = store.runs(["run_id", "study_id", "status"])
    left = runs[runs.status.isin(UNFINISHED)]
    if name is None:
        if left.empty:
            raise InputError(f"nothing to resume in {store.location}: all of its {len(runs)} runs have ended")
        name = base_id(left.study_id.max())  # ids begin with the time at which they were planned
    studies = runs.study_id.fillna("")
    named = runs[(runs.run_id == name) | (studies == name) | (studies.map(base_id) == name)]
    if named.empty:
        raise unknown("run or study", name, sorted({*runs.run_id, *runs.study_id.dropna()}))
    chosen = named[named.status.isin(UNFINISHED)]
    if chosen.empty:
        raise InputError(
            f"nothing to resume in {name}: its {len(named)} runs are {', '.join(sorted(set(named.status)))}"
        )
    return list(chosen.run_id)
