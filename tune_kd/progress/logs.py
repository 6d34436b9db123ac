"""Logging to pages of others beside the display: a listener of the same events for each, on a thread of its own.

A study never waits for them, and goes on without one that fails: its records are in the store.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tune_kd.config.log_to import LogTo
from tune_kd.events import EpochReport, Event, TrialTested
from tune_kd.progress.base import Progress

if TYPE_CHECKING:
    from tune_kd.budget.cost import Cost
    from tune_kd.budget.ledger import Ledger
    from tune_kd.planning.plan import RunPlan, Study

DRAIN_S = 30.0  # how long the end of a study waits for what is not logged yet


def scalars(event: Event, metric: str) -> dict[str, float]:
    """What is logged of an event, by name, in base units: of an epoch its scores and costs, of a test its score."""
    if isinstance(event, TrialTested):
        return {f"test/{metric}": event.test_score}
    if not isinstance(event, EpochReport):
        return {}
    found: dict[str, float | None] = {
        f"validation/{metric}": event.val_score,
        "validation/loss": event.val_loss,
        "training/loss": event.train_loss,
        "training/lr": event.lr,
        "tau/mean": event.tau_mean,
        "tau/min": event.tau_min,
        "tau/max": event.tau_max,
        "cost/energy_j": event.energy_j,
        "cost/co2e_g": event.co2e_g,
        "cost/flops_executed": event.flops_executed,
        "cost/duration_s": event.duration_s,
    }
    return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}


class Aside(Progress):
    """A listener on a thread of its own, made there by ``make``. The first thing that fails ends it, with a note."""

    def __init__(self, make: Callable[[], Progress], name: str, note: Callable[[str], None]) -> None:
        self._make, self._name, self._note = make, name, note
        self._waiting: queue.SimpleQueue[tuple[str, tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"log to {name}", daemon=True)
        self._thread.start()

    def run_started(self, plan: RunPlan, ledger: Ledger) -> None:
        self._waiting.put(("run_started", (plan, ledger)))

    def event(self, event: Event) -> None:
        self._waiting.put(("event", (event,)))

    def run_ended(self, plan: RunPlan, status: str) -> None:
        self._waiting.put(("run_ended", (plan, status)))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._waiting.put(None)
        self._thread.join(DRAIN_S)
        if self._thread.is_alive():
            self._note(f"{self._name} takes longer than {DRAIN_S:g} s for the last events; they are not all there")

    def _work(self) -> None:
        try:
            listener = self._make()
            while (call := self._waiting.get()) is not None:
                method, arguments = call
                getattr(listener, method)(*arguments)
            listener.close()
        except Exception as error:  # of the client library or its server, and no concern of the study
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._note(f"{self._name}: {said}; the study goes on without logging there")


class Together(Progress):
    """A display, and logs beside it that get the events of the runs."""

    def __init__(self, display: Progress, logs: Sequence[Progress]) -> None:
        self.display, self.logs = display, logs

    def study_started(self, parts: Sequence[Study], store: str) -> None:
        self.display.study_started(parts, store)

    def stage(self, text: str) -> None:
        self.display.stage(text)

    def busy(self, text: str) -> None:
        self.display.busy(text)

    def data_read(self, text: str) -> None:
        self.display.data_read(text)

    def teacher_epoch(self, name: str, epochs: int, epoch: int) -> None:
        self.display.teacher_epoch(name, epochs, epoch)

    def run_started(self, plan: RunPlan, ledger: Ledger) -> None:
        for one in (self.display, *self.logs):
            one.run_started(plan, ledger)

    def known(self, plan: RunPlan, events: Sequence[Event]) -> None:
        self.display.known(plan, events)

    def teacher_asked(self, plan: RunPlan, cost: Cost) -> None:
        self.display.teacher_asked(plan, cost)

    def event(self, event: Event) -> None:
        for one in (self.display, *self.logs):
            one.event(event)

    def run_ended(self, plan: RunPlan, status: str) -> None:
        for one in (self.display, *self.logs):
            one.run_ended(plan, status)

    def note(self, text: str) -> None:
        self.display.note(text)

    def close(self) -> None:
        for one in (*self.logs, self.display):
            one.close()


def with_logs(display: Progress, places: Sequence[LogTo]) -> Progress:
    """The display, and beside it what logs to ``places``."""
    if not places:
        return display
    return Together(display, [Aside(_maker(place), str(place), display.note) for place in places])


def _maker(place: LogTo) -> Callable[[], Progress]:
    def make() -> Progress:  # here, on the listener's own thread, the client library is loaded
        if place.kind == "tensorboard":
            from tune_kd.progress.tensorboard_log import TensorBoardLog

            return TensorBoardLog(place.where)
        from tune_kd.progress.mlflow_log import MlflowLog

        return MlflowLog(place.where)

    return make
