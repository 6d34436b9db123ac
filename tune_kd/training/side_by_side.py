"""Trials of one run that are trained side by side: one stream of batches, one pass of the teacher, a student each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tune_kd.events import EpochReport
from tune_kd.training.phases import Divided, Phases, Share, Turn
from tune_kd.training.stacked import train_stacked
from tune_kd.training.trial import Trial


class SideBySide:
    """Trials of one run in one process. Each is trained, reported and saved as it would be alone.

    ``clock`` began with the first of them, and each has a :class:`Share` of it.
    """

    def __init__(self, trials: Sequence[Trial], clock: Phases) -> None:
        self.trials, self._clock, self._divided = trials, clock, Divided(clock)

    def fit(self) -> Iterator[list[EpochReport]]:
        """Train all of them to their ends; after each epoch the reports of those that it was trained with.

        Trials that are resumed may not be equally far: those that are behind catch up first.
        """
        if unreported := [report for trial in self.trials if (report := trial.unreported()) is not None]:
            yield unreported
        while unfinished := [trial for trial in self.trials if not trial.over]:
            epoch = min(trial.epoch for trial in unfinished)
            yield self._train([trial for trial in unfinished if trial.epoch == epoch])

    def _train(self, trials: Sequence[Trial]) -> list[EpochReport]:
        """One epoch of trials that are equally far."""
        first, *others = trials
        distillations = [first.begin_epoch(), *(trial.begin_epoch(first) for trial in others)]
        with self._clock.phase("train"):
            losses = train_stacked(distillations, first.batches()) if others else [first.train(distillations[0])]
        with self._clock.phase("eval"):
            validations = [trial.validate() for trial in trials]
        self._divided.among([trial.phases for trial in trials if isinstance(trial.phases, Share)])
        return [
            trial.end_epoch(loss, validation, distillation, Turn(place, len(trials)))
            for place, (trial, loss, validation, distillation) in enumerate(
                zip(trials, losses, validations, distillations, strict=True)
            )
        ]
