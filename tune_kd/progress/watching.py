"""What the displays share: notes, and a view of every run of the study so far."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import mul
from typing import IO, TYPE_CHECKING

from tune_kd import formats
from tune_kd.progress.base import Progress
from tune_kd.progress.state import AttemptView, RunView, time_left_s
from tune_kd.store.ids import base_id

if TYPE_CHECKING:  # a display is on the screen before torch, which these need, is loaded
    from tune_kd.budget.cost import Cost
    from tune_kd.budget.ledger import Ledger
    from tune_kd.events import Event
    from tune_kd.planning.plan import RunPlan, Study

Clock = Callable[[], float]


class NotesOnly(Progress):
    """Says what must not be lost, and nothing else."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stderr

    def note(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def busy(self, text: str) -> None:
        self.note(text)


class Watching(NotesOnly):
    """What the displays share: a view of every run so far."""

    def __init__(self, stream: IO[str] | None = None, clock: Clock = time.monotonic) -> None:
        super().__init__(stream)
        self.clock = clock
        self.planned: tuple[RunPlan, ...] = ()
        self.runs: dict[str, RunView] = {}
        self._first_s = dict[str, float]()  # by teacher, when its first epoch had ended

    def study_started(self, parts: Sequence[Study], store: str) -> None:
        self.planned = tuple(chain.from_iterable(part.runs for part in parts))

    def data_read(self, text: str) -> None:
        self.note(text)

    def teacher_line(self, name: str, epochs: int, epoch: int) -> str:
        """``training the teacher, resnet18, epoch 12 of 100, 1 min 20 s left``; the first epoch tells no time."""
        now_s = self.clock()
        since_s = now_s - self._first_s.setdefault(name, now_s)
        left_s = time_left_s(epoch / epochs, since_s, 1 / epochs)
        left = [f"{formats.duration(left_s)} left"] if left_s else []
        return ", ".join([f"training the teacher, {name}, epoch {epoch} of {epochs}", *left])

    def run_started(self, plan: RunPlan, ledger: Ledger) -> None:
        run = RunView.begin(plan, ledger, self.clock())
        self.runs[plan.run_id] = run
        if run.before:
            known = formats.plural(len(run.before), "trial")
            self.note(f"{run.name}: goes on after {known}; its time is shown from here on")

    def known(self, plan: RunPlan, events: Sequence[Event]) -> None:
        self.runs[plan.run_id].known(events)

    def teacher_asked(self, plan: RunPlan, cost: Cost) -> None:
        self.runs[plan.run_id].teacher_asked(cost.energy_j)

    def run_ended(self, plan: RunPlan, status: str) -> None:
        run = self.runs[plan.run_id]
        run.status, run.duration_s = status, self.clock() - run.started_s

    @property
    def under_way(self) -> list[tuple[RunView, AttemptView]]:
        """The trials that are being trained, with their runs, in the order of these."""
        going = [run for run in self.runs.values() if run.status is None]
        return [(run, trial) for run in going for trial in run.trials if trial.ended is None]

    @property
    def energy_j(self) -> float | None:
        """What the study spent so far; None if a part of it was not measured."""
        spent = [run.energy_j for run in self.runs.values() if run.has_spent]
        return sum(joules for joules in spent if joules is not None) if spent and None not in spent else None

    @property
    def fraction(self) -> float:
        """How much of the study is done."""
        return self._mean({run_id: view.fraction for run_id, view in self.runs.items()})

    @property
    def fraction_before(self) -> float:
        """How much of it was done before it was resumed, as far as that has been seen."""
        return self._mean({run_id: view.fraction_before for run_id, view in self.runs.items()})

    def _mean(self, fractions: Mapping[str, float]) -> float:
        """The mean over the runs: they count by the trials they can have, else all the same."""
        sizes = [plan.trials_at_most for plan in self.planned]
        weights = [float(size or 1) if None not in sizes else 1.0 for size in sizes]
        done = (fractions.get(plan.run_id, 0.0) for plan in self.planned)
        return sum(map(mul, weights, done)) / sum(weights) if weights else 0.0


def headlines(parts: Sequence[Study], store: str) -> list[str]:
    """What a study is, in a line for each part, the last with the study's id and its store."""
    *others, last = [headline(part) for part in parts]
    study_id = parts[0].study_id if len(parts) == 1 else base_id(parts[0].study_id)
    return [*others, f"{last}; study {study_id}, store {store}"]


def headline(study: Study) -> str:
    """A part of a study in one line: ``compare: 5 policies × 2 replicates on digits, recipe track, 20 trials each``."""
    first = study.runs[0]
    policies = list(dict.fromkeys(run.label for run in study.runs))
    what = formats.plural(len(policies), "policy") if len(policies) > 1 else policies[0]
    replicates = len({run.replicate for run in study.runs})
    often = f" × {replicates} replicates" if replicates > 1 else ""
    budget = formats.amount(first.budget.limit, first.budget.currency)
    return f"{study.name}: {what}{often} on {first.scenario.name}, {first.track} track, at most {budget} each"
