"""The recorded results of a trial: the columns that a repeated training must give again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune_kd.errors import InputError, unknown
from tune_kd.store import Store
from tune_kd.store.reading.plain_rows import plain_rows

RESULTS = ("checkpoint_epoch", "val_score", "val_loss", "test_score", "confusion", "float_test_score")
"""Times and energy are left out: they are of the machine and its moment."""


def trial_row(store: Store, trial_id: str) -> dict[str, Any]:
    """The row of the last attempt that ended well, completed or stopped.

    Raises InputError for a trial that is not in the store, or that has no such attempt.
    """
    trials = store.trials(run_ids=[trial_id.rpartition("-")[0]])
    of_trial = trials[trials.trial_id == trial_id]
    if of_trial.empty:
        raise unknown("trial", trial_id, store.trials(["trial_id"]).trial_id)
    ended = of_trial[of_trial.status.isin(["completed", "stopped"])]
    if ended.empty:
        raise InputError(f"trial {trial_id} did not end well, so there is no result to repeat")
    [row] = plain_rows(ended.tail(1))
    return row


def results(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The results among ``columns``, as plain Python: a recorded list equals a fresh one. Null ones are left out."""
    return {name: _plain(columns[name]) for name in RESULTS if columns.get(name) is not None}


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [_plain(item) for item in value] if isinstance(value, list) else value
