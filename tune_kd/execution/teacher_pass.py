"""The teacher's outputs of a run: computed once, before its trials, and charged to the run.

Runs of the same replicate share the outputs. Each is charged their whole cost, as if it had been alone, so that
policies stay comparable.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_kd.budget.cost import PassCost
from tune_kd.budget.ledger import Ledger
from tune_kd.planning.plan import RunPlan
from tune_kd.planning.teacher_sharing import epochs_to_share
from tune_kd.training.step import ever_asks_teacher
from tune_kd.training.teacher_outputs import TeacherOutputs

if TYPE_CHECKING:
    from tune_kd.cluster.worker import Shared
    from tune_kd.execution.ray_study import RayStudy
    from tune_kd.execution.tune import TuneEvents
    from tune_kd.progress.base import Progress

PARTS_PER_WORKER = 4
"""Tasks for each trial that may run at a time: few, as each takes time to start, but enough to stop between them."""


def asks(plan: RunPlan, steps: int) -> bool:
    """Do the run's trials ask the teacher, in some epoch of ``steps`` batches?"""
    return ever_asks_teacher(plan.temperature(), plan.scenario, steps)


def charged(found: PassCost, recorded: PassCost | None) -> PassCost:
    """The charge of a resumed run: the larger of what was ``recorded`` for it and what is on disk, ``found``.

    More is found if the driver died before it recorded the last outputs, or if another run of the replicate had the
    rest computed. ``recorded`` is None for a run that has not been charged yet.
    """
    return found if recorded is None or found.flops > recorded.flops else recorded


class TeacherPass:
    """The teacher's pass over all batches that the trials of one run will see."""

    def __init__(
        self,
        study: RayStudy,
        shared: Shared,
        plan: RunPlan,
        ledger: Ledger,
        events: TuneEvents,
        progress: Progress,
    ) -> None:
        self._study, self._shared, self._plan = study, shared, plan
        self._ledger, self._events, self._progress = ledger, events, progress
        self._outputs = TeacherOutputs(place=Path(shared.outputs or "").joinpath)
        self._ready: list[int] = []  # epochs whose outputs were there when trials began

    def run(self, recorded: PassCost | None) -> PassCost:
        """Have the outputs computed that are not there yet; what the run is charged for all of them.

        It stops once half of the budget is spent: the rest would not pay for two trials, and then sharing does not
        pay either. Trials ask the teacher themselves about epochs that are missing. A resumed run has ``recorded``
        what it was charged before; outputs that are computed anew are charged beyond that.
        """
        found, missing = PassCost(), []
        epochs = epochs_to_share(self._plan, self._study.steps)
        for epoch in epochs:
            cost = self._outputs.cost(epoch)
            if cost is None:
                missing.append(epoch)
            else:
                found += cost
        total = charged(found, recorded)
        self._ledger.share(total)
        if recorded is None:
            self._progress.teacher_asked(found)
        if missing:
            self._progress.stage("asking the teacher, once for all trials")
        for cost in self._computed(missing):
            total += cost
            self._ledger.share(total)
            self._progress.teacher_asked(cost)
        self._ready = [epoch for epoch in epochs if self._outputs.cost(epoch) is not None]
        return total

    def check(self) -> None:
        """After the trials: note if outputs were removed while trials shared them."""
        gone = [epoch for epoch in self._ready if self._outputs.cost(epoch) is None]
        if gone:
            self._progress.note(
                f"the teacher's outputs of {len(gone)} epochs were removed from {self._shared.outputs} while trials "
                f"shared them: trials asked the teacher themselves from then on, and are charged for it"
            )

    def _computed(self, epochs: list[int]) -> Iterator[PassCost]:
        """The costs of parts of ``epochs``, as they are computed on the cluster."""
        room = max(1, self._study.cluster.room())
        size = max(1, len(epochs) // (room * PARTS_PER_WORKER))
        parts = [epochs[start : start + size] for start in range(0, len(epochs), size)]
        running: list[Any] = []
        while running or (parts and not self._over):
            while parts and len(running) < room and not self._over:
                running.append(self._study.tasks.compute_outputs(self._shared, parts.pop(0)))
            done, running = self._study.ray.wait(running, num_returns=1)
            try:
                yield from self._study.ray.get(done)
            except self._study.ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[-1]
                self._progress.note(
                    f"a part of the teacher's outputs is not shared, trials ask it themselves: {reason}"
                )

    @property
    def _over(self) -> bool:
        return self._events.interrupted or self._ledger.half_spent
