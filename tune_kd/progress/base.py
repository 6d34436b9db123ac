"""What a command shows while it works. Every display is a listener of the run's events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tune_kd.budget.cost import Cost
    from tune_kd.budget.ledger import Ledger
    from tune_kd.events import Event
    from tune_kd.planning.plan import RunPlan, Study


class Progress:
    """Shows nothing; the displays override what they show."""

    def study_started(self, parts: Sequence[Study], store: str) -> None:
        """Before anything is run. ``parts`` are those of one study, as a rule one."""

    def stage(self, text: str) -> None:
        """What is being prepared: data, teacher, Ray."""

    def busy(self, text: str) -> None:
        """Other programs keep this machine busy: how much, and what that means, in one line."""

    def data_read(self, text: str) -> None:
        """The data are read: a line on their classes, images per part and test set, and one on the networks."""

    def teacher_epoch(self, name: str, epochs: int, epoch: int) -> None:
        """A teacher has been trained for ``epoch`` of its ``epochs``."""

    def run_started(self, plan: RunPlan, ledger: Ledger) -> None:
        """A run begins; ``ledger`` is its own, up to date at every event."""

    def known(self, plan: RunPlan, events: Sequence[Event]) -> None:
        """A run goes on: what earlier drivers of it have recorded. Told once, after its start."""

    def teacher_asked(self, plan: RunPlan, cost: Cost) -> None:
        """What a run is charged, beyond its trials, for outputs of the teacher that they share."""

    def event(self, event: Event) -> None:
        """One event of a run that is under way; several may be."""

    def run_ended(self, plan: RunPlan, status: str) -> None:
        """A run is over: completed, stopped or failed."""

    def note(self, text: str) -> None:
        """One line that must not be lost."""

    def close(self) -> None:
        """After everything, also after an error."""
