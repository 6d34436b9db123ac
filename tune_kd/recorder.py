"""Journals every event of a run at once, has ended trials examined, and seals what is complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray

from tune_kd.events import EpochReport, Event, TrialEnded, TrialStarted, TrialTested, utc_now
from tune_kd.store import Journal, Store

Key = tuple[str, int]  # trial_id, attempt


class Recorder:
    """A listener: one journal for each attempt, sealed when nothing more can come for it."""

    def __init__(self, store: Store, examine: Callable[[str], Any]) -> None:
        self._store, self._examine = store, examine
        self._journals: dict[Key, Journal] = {}
        self._reported: set[Key] = set()
        self._examinations: dict[Any, TrialEnded] = {}
        self.problems: list[str] = []  # examinations that failed, a line each

    def __call__(self, event: Event) -> None:
        key = (event.trial_id, event.attempt)
        if isinstance(event, TrialStarted):
            self._journals[key] = self._store.journal(event.run_id, *key)
        self._journals[key].append(event)
        if isinstance(event, EpochReport):
            self._reported.add(key)
        if isinstance(event, TrialEnded):
            if event.status == "completed" or (event.status == "stopped" and key in self._reported):
                self._examinations[self._examine(event.trial_id)] = event
            else:
                self._seal(event)
        self._collect(timeout_s=0)

    def finish(self) -> None:
        """Wait for the examinations that are still out, and seal the rest."""
        while self._examinations:
            self._collect(timeout_s=None)

    def _collect(self, timeout_s: float | None) -> None:
        """Seal the trials whose examination is done."""
        if not self._examinations:
            return
        done, _ = ray.wait(list(self._examinations), num_returns=1, timeout=timeout_s)
        for reference in done:
            ended = self._examinations.pop(reference)
            try:
                columns = ray.get(reference)
            except ray.exceptions.RayError as error:
                # The trial's own record is whole without it: test columns stay null.
                self.problems.append(f"{ended.trial_id} could not be tested: {str(error).strip().splitlines()[-1]}")
            else:
                self._journals[ended.trial_id, ended.attempt].append(
                    TrialTested(
                        run_id=ended.run_id, trial_id=ended.trial_id, attempt=ended.attempt, at=utc_now(), **columns
                    )
                )
            self._seal(ended)

    def _seal(self, ended: TrialEnded) -> None:
        del self._journals[ended.trial_id, ended.attempt]
        self._store.seal(ended.run_id, ended.trial_id, ended.attempt)
