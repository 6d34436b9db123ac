"""The live table of a terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.text import Text

from tune_kd import formats
from tune_kd.events import Event
from tune_kd.progress.state import AttemptView, RunView, time_left_s
from tune_kd.progress.watching import Clock, Watching, headlines
from tune_kd.terminal.table import Column, FittedTable

if TYPE_CHECKING:
    from tune_kd.budget.ledger import Ledger
    from tune_kd.planning.plan import RunPlan, Study
    from tune_kd.progress.notebook import CellOutput

WIDE = 100  # columns that are enough for long bars and gaps
NARROW = 40  # with fewer, what is under way is left out
REDRAW_S = 0.1
FIGURES = ("trials", "epoch", "best val", "energy", "time")
LEAST = (1, 3, 5, 2)  # where it is narrow, the bar goes first, then the epoch, energy and trials


class RichProgress(Watching):
    """A live table: a line for each run, one for the study, and what is being prepared."""

    def __init__(self, console: Console | None = None, clock: Clock = time.monotonic) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        super().__init__(self.console.file, clock)
        self.live: Live | CellOutput = Live(console=self.console, refresh_per_second=4)
        self.preparing = ""
        self.closing = False
        self.shown_s = -math.inf

    def study_started(self, parts: Sequence[Study], store: str) -> None:
        super().study_started(parts, store)
        for line in headlines(parts, store):
            self.console.print(Text(line.replace("; study ", "\nstudy ")))

    def stage(self, text: str) -> None:
        self.preparing = text
        self.live.start()
        self._show()

    def teacher_epoch(self, name: str, epochs: int, epoch: int) -> None:
        self.preparing = self.teacher_line(name, epochs, epoch) if epoch < epochs else ""
        if self.clock() - self.shown_s >= REDRAW_S:
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
        room = self.console.width >= NARROW
        if room and len(self.planned) > 1 and not self.closing and (going := self.under_way):
            named = Text(f"under way: {_named(going)}", style="dim")
            short = Text(f"under way: {formats.plural(len(going), 'trial')}", style="dim")
            parts.append(named if named.cell_len <= self.console.width else short)
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
            rows.append(("", "", "", formats.energy(self.energy_j), self._time(now_s)))
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


def _named(going: list[tuple[RunView, AttemptView]]) -> str:
    """The trials that are being trained; where they are on several nodes, on which."""
    several = len({trial.node_id for _, trial in going} - {None}) > 1
    where = (f" on {trial.node_id[:8]}" if several and trial.node_id else "" for _, trial in going)
    return ", ".join(
        f"{run.name} trial {trial.started.index + 1}{on}" for (run, trial), on in zip(going, where, strict=True)
    )


def _figures(run: RunView, now_s: float) -> tuple[str, ...]:
    """The text of the columns in :data:`FIGURES`."""
    most, running = run.plan.trials_at_most, [trial for trial in run.trials if trial.ended is None]
    epochs = max((trial.epochs for trial in running), default=None)
    return (
        f"{run.trials_done}/{most}" if most else str(run.trials_done),
        "" if epochs is None or run.status else f"{epochs}/{run.plan.scenario.trial_epochs}",
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
