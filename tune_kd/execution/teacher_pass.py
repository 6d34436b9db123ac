"""The teacher's outputs of a run: computed once, in parts that workers compute, and charged to the run.

Runs of the same replicate share the outputs. Each is charged their whole cost, as if it had been alone, so that
policies stay comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from tune_kd.budget.cost import Cost
from tune_kd.budget.ledger import Ledger
from tune_kd.planning.plan import RunPlan
from tune_kd.planning.teacher_sharing import epochs_to_share
from tune_kd.training.step import ever_asks_teacher
from tune_kd.training.teacher_outputs import TeacherOutputs

PARTS_PER_WORKER = 4
"""Jobs for each trial that may run at a time: few, as each takes time to start, but enough to stop between them."""


def asks(plan: RunPlan, steps: int) -> bool:
    """Do the run's trials ask the teacher, in some epoch of ``steps`` batches?"""
    return ever_asks_teacher(plan.temperature(), plan.scenario, steps)


def charged(found: Cost, recorded: Cost | None) -> Cost:
    """The charge of a resumed run: the larger of what was ``recorded`` for it and what is on disk, ``found``.

    More is found if the driver died before it recorded the last outputs, or if another run of the replicate had the
    rest computed. ``recorded`` is None for a run that has not been charged yet.
    """
    return found if recorded is None or found.flops > recorded.flops else recorded


class TeacherPass:
    """The teacher's pass over all batches that the trials of one run will see.

    ``folder`` is that of the replicate's outputs. ``computing`` are the epochs that jobs of this run, or of another one
    of the replicate, are to compute in it, and whether a worker has begun; these runs have it in common. ``told`` is
    called with each cost that the run is charged. The pass stops before it spends more than half of the budget: the
    rest would not pay for two trials, and then sharing does not pay either. What it would spend is known from the first
    epoch, which is a part of its own under such a budget. Trials ask the teacher themselves about epochs that are
    missing.
    """

    def __init__(
        self,
        plan: RunPlan,
        folder: Path,
        ledger: Ledger,
        computing: dict[int, bool],
        *,
        steps: int,
        told: Callable[[Cost], object],
    ) -> None:
        self._outputs, self._folder = TeacherOutputs(place=folder.joinpath), folder
        self._ledger, self._computing, self._told = ledger, computing, told
        self._epochs = epochs_to_share(plan, steps)
        self._awaited: set[int] = set()  # epochs that are being computed and not charged yet
        self._charged: set[int] = set()
        self._missing: list[int] = []
        self._size = 1  # epochs of a part
        self.total = Cost()

    def begin(self, recorded: Cost | None, room: int) -> None:
        """Charge the outputs that are there. A resumed run has ``recorded`` what it was charged before.

        Outputs that are computed anew are charged beyond that. ``room``: how many jobs may run at a time.
        """
        found = Cost()
        for epoch in self._epochs:
            if (cost := self._outputs.cost(epoch)) is not None:
                found += cost
                self._charged.add(epoch)
            elif epoch in self._computing:
                self._awaited.add(epoch)
            else:
                self._missing.append(epoch)
        self._size = max(1, len(self._missing) // (max(1, room) * PARTS_PER_WORKER))
        self.total = charged(found, recorded)
        self._ledger.share(self.total)
        if recorded is None:
            self._told(found)

    def next_part(self) -> list[int] | None:
        """The epochs of the next part to compute; None if none is left, none would pay, or one is awaited first."""
        self._missing = [epoch for epoch in self._missing if epoch not in self._computing]
        if not self._missing or (self._awaited and self._knows_no_cost):
            return None
        size = self._size_that_pays()
        if not size:
            self.stop()
            return None
        part, self._missing = self._missing[:size], self._missing[size:]
        self._computing.update(dict.fromkeys(part, False))
        self._awaited.update(part)
        return part

    @property
    def _knows_no_cost(self) -> bool:
        return self._ledger.charges_costs and not self._charged

    def _size_that_pays(self) -> int:
        """How many epochs the next part may have; 0 where half of the budget would not be left after one."""
        if self._knows_no_cost:
            return int(self._ledger.half_left())
        each = self._ledger.shared / max(len(self._charged), 1)
        sizes = range(min(self._size, len(self._missing)), 0, -1)
        return next((size for size in sizes if self._ledger.half_left((len(self._awaited) + size) * each)), 0)

    def stop(self) -> None:
        """Hand out no other part: no trial is left that would read it."""
        self._missing = []

    def started(self, epochs: Iterable[int]) -> None:
        """A worker has begun to compute outputs that this run has handed out: they are waited for."""
        for epoch in epochs:
            self._computing[epoch] = True
            (self._folder / f"{epoch:05d}.given-up.pt").unlink(missing_ok=True)

    def again(self, epochs: Iterable[int]) -> None:
        """The worker has died, and another one is to compute its outputs.

        Trials that wait for them ask the teacher themselves: one of them may keep the worker that would compute them.
        """
        for epoch in epochs:
            self._computing[epoch] = False
            self._outputs.give_up(epoch)

    def computed(self, epochs: Iterable[int]) -> None:
        """Outputs of the replicate are there: charge those that the run awaits."""
        for epoch in self._awaited.intersection(epochs):
            self._awaited.remove(epoch)
            if (cost := self._outputs.cost(epoch)) is not None:
                self.total += cost
                self._charged.add(epoch)
                self._ledger.share(self.total)
                self._told(cost)

    def not_computed(self, epochs: Iterable[int]) -> None:
        """Outputs of the replicate will not come: trials ask the teacher themselves."""
        for epoch in self._awaited.intersection(epochs):
            self._awaited.remove(epoch)
            self._outputs.give_up(epoch)

    @property
    def handed_out(self) -> bool:
        """Has every part been handed to a worker?"""
        return not self._missing

    @property
    def complete(self) -> bool:
        """Has every part been computed, or given up?"""
        return not self._missing and not self._awaited

    @property
    def first_is_there(self) -> bool:
        """May a trial begin? The outputs of its later epochs are waited for as it comes to them.

        All of them must be with a worker: a trial that waits for others would keep the worker that they need.
        """
        with_workers = self.handed_out and all(self._computing.get(epoch, True) for epoch in self._awaited)
        return with_workers and (not self._epochs or self._epochs[0] not in self._awaited)

    @property
    def awaited(self) -> list[int]:
        """The epochs whose outputs are being computed."""
        return sorted(self._awaited)

    def removed(self) -> list[int]:
        """The epochs that were charged to the run and whose outputs are gone."""
        return [epoch for epoch in sorted(self._charged) if self._outputs.cost(epoch) is None]
