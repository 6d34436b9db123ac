"""The target track: a run is over once a trial that has ended reached the accuracy that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from tune_kd.errors import InputError
from tune_kd.events import EpochReport, Event, TrialEnded


@dataclass(kw_only=True)
class Target:
    """Whether a trial has ended whose chosen checkpoint has a validation accuracy of at least ``accuracy``.

    A report above the target does not count before its trial ends. It never counts if another epoch is chosen.
    """

    accuracy: float
    reached_by: str | None = None  # the first trial that did
    _chosen: dict[str, float | None] = field(default_factory=dict)  # by trial, the accuracy of its checkpoint so far

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochReport):
            self._chosen[event.trial_id] = event.chosen_score
        elif isinstance(event, TrialEnded) and event.status in ("completed", "stopped"):
            accuracy = self._chosen.get(event.trial_id)
            if accuracy is not None and accuracy >= self.accuracy:
                self.reached_by = self.reached_by or event.trial_id

    @property
    def reached(self) -> bool:
        return self.reached_by is not None


def check_target(track: str, accuracy: float | None) -> None:
    """Refuse a target track without an accuracy to reach, and an accuracy for a track that has none."""
    if track != "target" and accuracy is not None:
        raise InputError(f"--target-accuracy {accuracy:g} goes with --track target only, got --track {track}")
    if track == "target" and accuracy is None:
        raise InputError("--track target needs the validation accuracy to reach, as in --target-accuracy 0.95")
    if accuracy is not None and not 0 < accuracy <= 1:
        raise InputError(f"--target-accuracy must be a fraction within (0, 1], as in 0.95, got {accuracy:g}")
