"""Attempts that are under way: their journals, read while others write them, as rows of ``trials`` and ``reports``.

Nothing is locked and nothing is written. Of a journal that is half-written the whole lines are read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_kd.errors import StoreError
from tune_kd.events import TrialStarted
from tune_kd.store.files import names
from tune_kd.store.reading.reader import to_pandas
from tune_kd.store.schema import to_table
from tune_kd.store.writing.fold import fold
from tune_kd.store.writing.journal import read_events

if TYPE_CHECKING:
    import pandas as pd

RUNNING = "running"
"""The status of an attempt whose journal has no end yet. No sealed row has it."""


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """Rows of attempts that are not sealed, as they would be sealed now, and why some journals could not be read.

    Of an attempt that has not ended, ``status`` is :data:`RUNNING` and ``ended_at`` its last sign of life.
    """

    trials: pd.DataFrame
    reports: pd.DataFrame
    faults: tuple[str, ...] = ()


def under_way(folder: Path, run_ids: Collection[str] | None = None) -> UnderWay:
    """The attempts whose journals are in ``folder``; with ``run_ids`` those of these runs alone."""
    trials: list[dict[str, Any]] = []
    reports: list[dict[str, Any]] = []
    faults = []
    for path in sorted(folder.glob("*.jsonl")):
        if run_ids is not None and names.run_of("trials", path.stem) not in run_ids:
            continue
        try:
            events = read_events(path)
            if any(isinstance(event, TrialStarted) for event in events):  # else its first line is not whole yet
                attempt = fold(events)
                trials.append(attempt.trial)
                reports += attempt.reports
        except FileNotFoundError:  # sealed meanwhile
            continue
        except StoreError as error:
            faults.append(str(error))
    frame = to_pandas(to_table("trials", trials))
    frame.loc[frame["status"] == "lost", ["status", "error"]] = RUNNING, None
    return UnderWay(trials=frame, reports=to_pandas(to_table("reports", reports)), faults=tuple(faults))
