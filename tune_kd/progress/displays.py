"""The displays of ``run`` and ``compare``: a live table on a terminal, plain lines elsewhere, notes alone when quiet.

All of them write to stderr: stdout is for results.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from rich.console import Console

from tune_kd import formats
from tune_kd.events import EpochReport, Event, TrialEnded, TrialStarted
from tune_kd.progress.base import Progress
from tune_kd.progress.live_table import RichProgress
from tune_kd.progress.state import AttemptView, RunView, time_left_s
from tune_kd.progress.watching import Clock, NotesOnly, Watching, headlines

if TYPE_CHECKING:
    from tune_kd.planning.plan import RunPlan, Study


EPOCH_LINE_S = 10.0
"""A trial that takes longer says a line after an epoch, but no more than one in so many seconds."""


class LineProgress(Watching):
    """One plain line for everything that ends, and for epochs that take long: for logs, pipes and CI."""

    def __init__(self, stream: IO[str] | None = None, clock: Clock = time.monotonic) -> None:
        super().__init__(stream, clock)
        self._said_s: dict[str, float] = {}  # by trial or teacher, when its last line was said, or it started

    def study_started(self, parts: Sequence[Study], store: str) -> None:
        super().study_started(parts, store)
        for line in headlines(parts, store):
            self.note(line)

    def stage(self, text: str) -> None:
        # Before that, input is still being checked, and a mistake in it gets its own line and no other.
        if self.planned:
            self.note(text)

    def teacher_epoch(self, name: str, epochs: int, epoch: int) -> None:
        line = self.teacher_line(name, epochs, epoch)
        if epoch < epochs and self._is_time(name):
            self.note(line)

    def _is_time(self, what: str) -> bool:
        """Has nothing been said of it for long? If so, it will be now."""
        now_s = self.clock()
        if now_s - self._said_s.setdefault(what, now_s) < EPOCH_LINE_S:
            return False
        self._said_s[what] = now_s
        return True

    def event(self, event: Event) -> None:
        run = self.runs[event.run_id]
        attempt = run.event(event)
        if attempt is None:
            return
        if isinstance(event, TrialEnded):
            self.note(trial_line(run, attempt))
        elif isinstance(event, TrialStarted):
            self._said_s[event.trial_id] = self.clock()
        elif isinstance(event, EpochReport) and self._is_time(event.trial_id):
            self.note(epoch_line(run, attempt, self.clock()))

    def run_ended(self, plan: RunPlan, status: str) -> None:
        super().run_ended(plan, status)
        run = self.runs[plan.run_id]
        parts = [
            status,
            formats.plural(run.trials_done, "trial"),
            f"best {formats.score_name('val', run.metric)} {formats.percent(run.best)}",
            formats.energy(run.energy_j),
            f"took {formats.duration(run.duration_s)}{' since it went on' if run.before else ''}",
        ]
        if run.diverged:
            parts.insert(2, f"{run.diverged} diverged")
        self.note(f"{run.name}: {', '.join(parts)}")


def epoch_line(run: RunView, attempt: AttemptView, now_s: float) -> str:
    """A trial under way, in one line: ``grid r0: trial 3 of 19, epoch 12 of 30, val 88.0 %, run: 5 min 10 s left``."""
    number, most = attempt.started.index + 1, run.plan.trials_at_most
    left_s = time_left_s(run.fraction, now_s - run.started_s, run.fraction_before)
    parts = [
        f"trial {number} of {most}" if most else f"trial {number}",
        f"epoch {attempt.epochs} of {run.plan.scenario.trial_epochs}",
        f"{formats.score_name('val', attempt.started.metric)} {formats.percent(attempt.score)}",
        *([f"run: {formats.duration(left_s)} left"] if left_s else []),
    ]
    return f"{run.name}: {', '.join(parts)}"


def trial_line(run: RunView, attempt: AttemptView) -> str:
    """A trial that has ended, in one line: ``grid r0: trial 3 of 19, τ 4, 30 epochs, val 90.8 %, 21.3 mWh, 1.3 s``.

    All that is searched is in it, as in ``τ 4, α 0.5``.
    """
    number, most = attempt.started.index + 1, run.plan.trials_at_most
    fixed = attempt.started.tau
    low, high = (fixed, fixed) if fixed is not None else (attempt.tau_low, attempt.tau_high)
    parts = [
        f"trial {number} of {most}" if most else f"trial {number}",
        formats.params(attempt.started.params, low, high),
        formats.plural(attempt.epochs, "epoch"),
        f"{formats.score_name('val', attempt.started.metric)} {formats.percent(attempt.score)}",
        formats.energy(attempt.energy_j),
        formats.duration(attempt.duration_s),
    ]
    if attempt.ended and attempt.ended.status != "completed":
        parts.append(attempt.ended.status)
    if attempt.diverged_epoch is not None:
        parts.append(f"diverged in epoch {attempt.diverged_epoch}")
    if attempt.ended and attempt.ended.error:
        parts.append(attempt.ended.error.strip().splitlines()[-1])
    return f"{run.name}: {', '.join(parts)}"


def choose_progress(*, quiet: bool) -> Progress:
    """The display that suits this stderr."""
    if quiet:
        return NotesOnly()
    console = Console(stderr=True, highlight=False)
    return RichProgress(console) if console.is_terminal and not console.is_dumb_terminal else LineProgress()
