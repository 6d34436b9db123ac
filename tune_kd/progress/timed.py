"""How long the trials of a study take, for the first lines of the next one."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tune_kd.events import EpochReport
from tune_kd.planning import durations
from tune_kd.progress.base import Progress

if TYPE_CHECKING:
    from tune_kd.events import Event
    from tune_kd.planning.execution_options import Execution
    from tune_kd.planning.plan import Study
    from tune_kd.progress.watching import Clock


class Timed(Progress):
    """Counts epochs from the end of the first to the end of the last, and keeps the pace in the cache.

    What comes before the first epoch, as the start of workers, does not grow with a study.
    """

    def __init__(self, study: Study, execution: Execution, clock: Clock = time.monotonic) -> None:
        self._study, self._execution, self._clock = study, execution, clock
        self._first_s = self._last_s = 0.0
        self._epochs = 0

    def event(self, event: Event) -> None:
        if isinstance(event, EpochReport):
            self._last_s = self._clock()
            if not self._epochs:
                self._first_s = self._last_s
            self._epochs += 1

    def close(self) -> None:
        took_s = self._last_s - self._first_s
        if took_s > 0:
            with suppress(OSError):  # no study fails for want of a forecast of the next
                durations.keep(self._study, self._execution, took_s, self._epochs - 1)
