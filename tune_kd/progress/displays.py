"""The displays of ``run`` and ``compare``: a live table on a terminal, plain lines elsewhere, notes alone when quiet.

All of them write to stderr: stdout is for results.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from operator import mul
from typing import IO, TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.text import Text

from tune_kd import formats
from tune_kd.events import Event, TrialEnded
from tune_kd.progress.base import Progress
from tune_kd.progress.state import AttemptView, RunView, time_left_s
from tune_kd.terminal.table import Column, FittedTable

if TYPE_CHECKING:  # a display is on the screen before torch, which these need, is loaded
    from tune_kd.budget.cost import PassCost
    from tune_kd.budget.ledger import Ledger
    from tune_kd.planning.plan import RunPlan, Study

Clock = Callable[[], float]
WIDE = 100  # columns that are enough for long bars and gaps
REDRAW_S = 0.1
FIGURES = ("trials", "epoch", "best val", "energy", "time")
LEAST = (1, 3, 5, 2)  # where it is narrow, the bar goes first, then the epoch, energy and trials


class NotesOnly(Progress):
    """Says what must not be lost, and nothing else."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stderr

    def note(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


class Watching(NotesOnly):
    """What the displays share: a view of every run so far."""

    def __init__(self, stream: IO[str] | None = None, clock: Clock = time.monotonic) -> None:
        super().__init__(stream)
        self.clock = clock
        self.planned: tuple[RunPlan, ...] = ()
        self.runs: dict[str, RunView] = {}

    def study_started(self, study: Study, store: str) -> None:
        self.planned = study.runs

    def data_read(self, text: str) -> None:
        self.note(text)

    def run_started(self, plan: RunPlan, ledger: Ledger) -> None:
        run = RunView.begin(plan, ledger, self.clock())
        self.runs[plan.run_id] = run
        if run.before:
            known = formats.plural(len(run.before), "trial")
            self.note(f"{run.name}: goes on after {known}; accuracy, energy and time are shown from here on")

    def teacher_asked(self, cost: PassCost) -> None:
        [*_, run] = self.runs.values()
        run.teacher_asked(cost.energy_j)

    def run_ended(self, plan: RunPlan, status: str) -> None:
        run = self.runs[plan.run_id]
        run.status, run.duration_s = status, self.clock() - run.started_s

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


def headline(study: Study) -> str:
    """What a study is, in one line: ``compare: 5 policies × 2 replicates on digits, recipe track, 20 trials each``."""
    first = study.runs[0]
    policies = list(dict.fromkeys(run.label for run in study.runs))
    what = formats.plural(len(policies), "policy") if len(policies) > 1 else policies[0]
    replicates = len({run.replicate for run in study.runs})
    often = f" × {replicates} replicates" if replicates > 1 else ""
    budget = formats.amount(first.budget.limit, first.budget.currency)
    return f"{study.name}: {what}{often} on {first.scenario.name}, {first.track} track, at most {budget} each"


class LineProgress(Watching):
    """One plain line for everything that ends: for logs, pipes and CI."""

    def study_started(self, study: Study, store: str) -> None:
        super().study_started(study, store)
        self.note(f"{headline(study)}; study {study.study_id}, store {store}")

    def stage(self, text: str) -> None:
        # Before that, input is still being checked, and a mistake in it gets its own line and no other.
        if self.planned:
            self.note(text)

    def event(self, event: Event) -> None:
        run = self.runs[event.run_id]
        attempt = run.event(event)
        if attempt is not None and isinstance(event, TrialEnded):
            self.note(trial_line(run, attempt))

    def run_ended(self, plan: RunPlan, status: str) -> None:
        super().run_ended(plan, status)
        run = self.runs[plan.run_id]
        parts = [
            status,
            formats.plural(run.trials_done, "trial"),
            f"best val {formats.percent(run.best)}",
            formats.energy(run.energy_j),
            f"took {formats.duration(run.duration_s)}",
        ]
        if run.diverged:
            parts.insert(2, f"{run.diverged} diverged")
        self.note(f"{run.name}: {', '.join(parts)}")


def trial_line(run: RunView, attempt: AttemptView) -> str:
    """A trial that has ended, in one line: ``grid r0: trial 3 of 19, τ 4, 30 epochs, val 90.8 %, 21.3 mWh, 1.3 s``."""
    number, most = attempt.started.index + 1, run.plan.trials_at_most
    fixed = attempt.started.tau
    low, high = (fixed, fixed) if fixed is not None else (attempt.tau_low, attempt.tau_high)
    parts = [
        f"trial {number} of {most}" if most else f"trial {number}",
        f"τ {formats.tau(low, high)}",
        formats.plural(attempt.epochs, "epoch"),
        f"val {formats.percent(attempt.accuracy)}",
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


class RichProgress(Watching):
    """A live table: a line for each run, one for the study, and what is being prepared."""

    def __init__(self, console: Console | None = None, clock: Clock = time.monotonic) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        super().__init__(self.console.file, clock)
        self.live = Live(console=self.console, refresh_per_second=4)
        self.preparing = ""
        self.closing = False
        self.shown_s = -math.inf

    def study_started(self, study: Study, store: str) -> None:
        super().study_started(study, store)
        self.console.print(Text(f"{headline(study)}\nstudy {study.study_id}, store {store}"))

    def stage(self, text: str) -> None:
        self.preparing = text
        self.live.start()
        self._show()

    def run_started(self, plan: RunPlan, ledger: Ledger) -> None:
        super().run_started(plan, ledger)
        self.preparing = ""
        self._show()

    def event(self, event: Event) -> None:
        self.preparing = ""
        self.runs[event.run_id].event(event)
        # A table takes milliseconds, and the events of short epochs come as fast.
        if self.clock() - self.shown_s >= REDRAW_S:
            self._show()

    def run_ended(self, plan: RunPlan, status: str) -> None:
        super().run_ended(plan, status)
        run = self.runs[plan.run_id]
        if run.diverged:
            self.note(f"{run.name}: {run.diverged} of {formats.plural(run.trials_done, 'trial')} diverged")
        self._show()

    def note(self, text: str) -> None:
        self.live.console.print(Text(text))

    def close(self) -> None:
        if self.live.is_started:
            self.preparing, self.closing = "", True
            self.live.transient = not self.runs
            self.live.update(self.renderable(list(self.runs.values())))
            self.live.stop()
            # Another part of the study may follow, with a table of its own.
            self.runs, self.closing = {}, False
            self.live.update(self.renderable([]))

    def _show(self) -> None:
        # A live display cannot scroll: of many runs, the last ones that fit.
        runs = list(self.runs.values())[-max(self.console.height - 5, 1) :]
        while len(runs) > 1 and self._lines(runs) > self.console.height - 1:
            runs = runs[1:]
        self.live.update(self.renderable(runs))
        self.shown_s = self.clock()

    def _lines(self, runs: list[RunView]) -> int:
        """How many lines these runs take: names wrap where it is narrow."""
        return len(self.console.render_lines(self.renderable(runs), pad=False))

    def renderable(self, runs: list[RunView]) -> RenderableType:
        """What is on the screen now."""
        parts: list[RenderableType] = [self._table(runs)] if runs else []
        if self.preparing:
            parts.append(Spinner("line" if self.console.options.ascii_only else "dots", Text(self.preparing)))
        return Group(*parts)

    def _table(self, runs: list[RunView]) -> FittedTable:
        wide, now_s = self.console.width >= WIDE, self.clock()
        names, bars = [run.name for run in runs], [_bar(run.fraction) for run in runs]
        rows = [_figures(run, now_s) for run in runs]
        if several := len(self.planned) > 1:
            done = sum(run.status is not None for run in self.runs.values())
            names.append(f"{done} of {len(self.planned)} runs")
            bars.append(_bar(self.fraction))
            rows.append(("", "", "", "", self._time(now_s)))
        figures = (
            Column(header=header, cells=[row[place] for row in rows], right=True)
            for place, header in enumerate(FIGURES)
        )
        return FittedTable(
            columns=[
                Column(header="run", cells=names, words=True),
                Column(header="", cells=bars, width=20 if wide else 8),
                *figures,
            ],
            least=LEAST,
            gap=2 if wide else 1,
            header_style="dim",
            strong=frozenset([len(runs)] if several else []),
        )

    def _time(self, now_s: float) -> str:
        """How long the study still takes, or took."""
        if not self.runs:
            return ""
        elapsed_s = now_s - min(run.started_s for run in self.runs.values())
        if self.closing or all(plan.run_id in self.runs and self.runs[plan.run_id].status for plan in self.planned):
            return f"took {formats.duration(elapsed_s)}"
        return _left(time_left_s(self.fraction, elapsed_s, self.fraction_before))


def _figures(run: RunView, now_s: float) -> tuple[str, ...]:
    """The text of the columns in :data:`FIGURES`."""
    most, running = run.plan.trials_at_most, [trial for trial in run.trials if trial.ended is None]
    epochs = max((trial.epochs for trial in running), default=None)
    return (
        f"{run.trials_done}/{most}" if most else str(run.trials_done),
        "" if epochs is None or run.status else f"{epochs}/{run.plan.scenario.recipe.epochs}",
        formats.percent(run.best),
        formats.energy(run.energy_j),
        _over(run) if run.status else _left(time_left_s(run.fraction, now_s - run.started_s, run.fraction_before)),
    )


def _bar(fraction: float) -> ProgressBar:
    return ProgressBar(total=1.0, completed=fraction)


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{formats.duration(seconds)} left" if seconds > 0 else "finishing"


def _over(run: RunView) -> str:
    """``took 29 s``, or with a status that is not the usual one: ``failed in 29 s``."""
    how = "took" if run.status == "completed" else f"{run.status} in"
    return f"{how} {formats.duration(run.duration_s)}"


def choose_progress(*, quiet: bool) -> Progress:
    """The display that suits this stderr."""
    if quiet:
        return NotesOnly()
    console = Console(stderr=True, highlight=False)
    return RichProgress(console) if console.is_terminal and not console.is_dumb_terminal else LineProgress()
