"""A listener that logs to TensorBoard: a folder for each trial, by the run's id and the trial's number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tensorboardX import SummaryWriter

from tune_kd.events import EpochReport, Event, TrialEnded, TrialStarted
from tune_kd.progress.base import Progress
from tune_kd.progress.logs import scalars

if TYPE_CHECKING:
    from tune_kd.budget.ledger import Ledger
    from tune_kd.planning.plan import RunPlan

FLUSH_S = 10


class TensorBoardLog(Progress):
    """Writes event files below ``folder``. Steps are epochs, of a resumed trial, too."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._runs: dict[str, RunPlan] = {}
        self._trials: dict[str, tuple[TrialStarted, SummaryWriter]] = {}
        self._last: dict[str, EpochReport] = {}

    def run_started(self, plan: RunPlan, ledger: Ledger) -> None:
        self._runs[plan.run_id] = plan

    def event(self, event: Event) -> None:
        if isinstance(event, TrialStarted):
            folder = self._folder / event.run_id / f"trial-{event.index + 1:04d}"
            self._close(event.trial_id)
            suffix = f".attempt-{event.attempt}"  # a file's name is else that of the second
            writer = SummaryWriter(logdir=str(folder), flush_secs=FLUSH_S, filename_suffix=suffix)
            self._trials[event.trial_id] = event, writer
        if event.trial_id not in self._trials:  # of a trial that an earlier driver trained
            return
        started, writer = self._trials[event.trial_id]
        if isinstance(event, EpochReport):
            self._last[event.trial_id] = event
        last = self._last.get(event.trial_id)
        for name, value in scalars(event, started.metric).items():
            writer.add_scalar(name, value, last.epoch if last else 0, event.at.timestamp())
        if isinstance(event, TrialEnded) and last is not None and last.chosen_score is not None:
            plan = self._runs[event.run_id]
            searched = {"policy": plan.label, "replicate": plan.replicate, **started.params}
            writer.add_hparams(searched, {f"chosen/{started.metric}": last.chosen_score}, name="hparams")

    def run_ended(self, plan: RunPlan, status: str) -> None:
        for trial_id in [trial_id for trial_id, (trial, _) in self._trials.items() if trial.run_id == plan.run_id]:
            self._close(trial_id)

    def close(self) -> None:
        for trial_id in list(self._trials):
            self._close(trial_id)

    def _close(self, trial_id: str) -> None:
        if trial_id in self._trials:
            self._trials.pop(trial_id)[1].close()
