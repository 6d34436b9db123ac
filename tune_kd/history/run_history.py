"""The history of a run, read from the store: its trials, how far each is, and their events."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tune_kd.errors import StoreError
from tune_kd.events import EpochReport, Event, TrialEnded, TrialMetered, TrialStarted, with_chosen
from tune_kd.store import Store
from tune_kd.store.reading.plain_rows import plain_rows


@dataclass(kw_only=True)
class KnownTrial:
    """A trial by our name (Tune has another), and how far it is."""

    trial_id: str
    index: int
    params: dict[str, float]
    attempt: int = -1  # the number of the last attempt; -1: none has begun
    epoch: int = 0  # the last reported epoch, of any attempt; 1 is the first
    reported: int = 0  # the last reported epoch of the attempt that is running
    open: bool = False  # is an attempt running?
    status: str | None = None  # how the last attempt ended
    failures: int = 0  # failed attempts of earlier drivers
    tries_left: bool = False  # may it be tried again after a failure?
    last: dict[int, EpochReport] = field(default_factory=dict)  # the last report of each attempt that had any

    @property
    def config(self) -> dict[str, Any]:
        """What a scheduler may use of the trial: the config of Tune's own trial has it, too."""
        return {"index": self.index, "params": self.params}

    @property
    def result(self) -> dict[str, float | None] | None:
        """The result for a searcher: the accuracy of the chosen checkpoint, and the cost of all attempts (J, FLOP).

        Joules are None if an attempt was not measured. The result is made of reports alone, so a searcher gets from
        the store the same bits as in the run. None for a trial without a report.
        """
        reports = list(self.last.values())
        if not reports or (accuracy := reports[-1].chosen_score) is None:
            return None
        joules = [report.energy_j for report in reports]
        return {
            "val_score": accuracy,
            "energy_j": None if None in joules else math.fsum(filter(None, joules)),
            "flops_executed": float(sum(report.flops_executed for report in reports)),
        }

    @property
    def chosen_before(self) -> dict[str, Any]:
        """If the last attempt made no report, columns of the checkpoint that an earlier attempt chose; else empty."""
        if self.attempt in self.last or not self.last:
            return {}
        last = self.last[max(self.last)]
        return {
            "checkpoint_epoch": last.checkpoint_epoch,
            "val_score": last.chosen_score,
            "val_loss": last.chosen_loss,
            "diverged_epoch": last.diverged_epoch,
        }

    def add_attempt(self, attempt: int, status: str, events: Iterable[Event], max_failures: int) -> None:
        """Take in a recorded attempt, later than those before.

        One that failed side by side with others does not count as a failure: another trial may have been the reason.
        """
        self.attempt, self.status, alone = attempt, status, True
        for event in events:
            if isinstance(event, TrialStarted):
                alone = event.side_by_side in (None, 1)
            elif isinstance(event, EpochReport):
                self.epoch, self.last[attempt] = max(self.epoch, event.epoch), event
        self.failures += status == "failed" and alone
        self.tries_left = self.failures <= max_failures

    @property
    def unfinished(self) -> bool:
        """Was its last attempt lost (killed), or failed with tries left? Then it is resumed from its checkpoint.

        One that was suggested and never started is unfinished, too.
        """
        return self.attempt < 0 or self.status == "lost" or (self.status == "failed" and self.tries_left)

    @property
    def run_id(self) -> str:
        """The run that it belongs to."""
        return self.trial_id.rpartition("-")[0]


@dataclass(frozen=True, kw_only=True)
class RunHistory:
    """The trials of a run in the order of their suggestion, and all events that its ledger was charged with."""

    trials: tuple[KnownTrial, ...] = ()
    events: tuple[Event, ...] = ()
    untested: tuple[tuple[Event, ...], ...] = ()  # the events of each attempt with a student that is not tested yet

    def replay_searcher(self, searcher: Searcher) -> RunHistory:
        """Bring a fresh searcher to the state of the old one: it makes the same suggestions and gets the same results.

        The history that is returned has also the trials that were suggested and had not started when the driver died,
        while a later one had. Raises StoreError if the searcher suggests other parameters than were run.
        """
        recorded, trials = {trial.index: trial for trial in self.trials}, []
        for index in range(max(recorded, default=-1) + 1):
            trial_id = f"{self.trials[0].run_id}-{index:04d}"
            params = searcher.suggest(trial_id)
            trial = recorded.get(index) or KnownTrial(trial_id=trial_id, index=index, params=params)
            if params != trial.params:
                raise StoreError(
                    f"trial {trial.trial_id} was run with {trial.params}, but its searcher now suggests {params}: "
                    f"the search cannot be repeated with the packages that are installed here"
                )
            if not trial.unfinished:
                give_result(searcher, trial)
            trials.append(trial)
        return dataclasses.replace(self, trials=tuple(trials))

    def replay_scheduler(self, scheduler: TrialScheduler) -> None:
        """Give a fresh scheduler the reports of ended trials: it compares later trials with them.

        Unfinished trials are left out: they report under a new name, and must not be compared with themselves.
        """
        ended: dict[str, Any] = {trial.trial_id: trial for trial in self.trials if not trial.unfinished}
        last: dict[str, dict[str, Any]] = {}
        reports = [event for event in self.events if isinstance(event, EpochReport) and event.trial_id in ended]
        for report in sorted(reports, key=lambda report: report.at):
            if report.trial_id not in last:
                scheduler.on_trial_add(None, ended[report.trial_id])
            last[report.trial_id] = {"epoch": report.epoch, "val_score": report.val_score}
            scheduler.on_trial_result(None, ended[report.trial_id], last[report.trial_id])
        for trial_id, result in last.items():
            scheduler.on_trial_complete(None, ended[trial_id], result)


def give_result(searcher: Searcher, trial: KnownTrial) -> None:
    """Give a searcher the result of an ended trial; a trial that failed has none."""
    result = None if trial.status == "failed" else trial.result
    searcher.on_trial_complete(trial.trial_id, result, result is None)


def has_student(status: str, epochs: int) -> bool:
    """Does an ended attempt give a student to be tested? If it completed, or was stopped after an epoch or more."""
    return status == "completed" or (status == "stopped" and epochs > 0)


def history_of(store: Store, run_id: str, max_failures: int = 0) -> RunHistory:
    """The history of a run; empty for one that has not begun. Journals must be sealed before.

    A trial that failed at most ``max_failures`` times is unfinished: its driver died before it was tried again.
    """
    trials, reports = store.trials(run_ids=[run_id]), store.reports(run_ids=[run_id])
    of_attempt: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for report in plain_rows(reports.sort_values("epoch")):
        of_attempt.setdefault((report["trial_id"], report["attempt"]), []).append(report)
    known: dict[str, KnownTrial] = {}
    events: list[Event] = []
    untested: list[tuple[Event, ...]] = []
    for row in plain_rows(trials.sort_values(["index", "attempt"])):
        trial = known.setdefault(
            row["trial_id"],
            KnownTrial(trial_id=row["trial_id"], index=row["index"], params=json.loads(row["params_json"])),
        )
        reported = of_attempt.get((row["trial_id"], row["attempt"]), [])
        of_row = tuple(events_of(row, reported))
        trial.add_attempt(row["attempt"], row["status"], of_row, max_failures)
        events += of_row
        if has_student(row["status"], row["epochs"]) and row["tested_at"] is None:
            untested.append(of_row)
    return RunHistory(trials=tuple(known.values()), events=tuple(events), untested=tuple(untested))


def events_of(trial: Mapping[str, Any], reports: Iterable[Mapping[str, Any]]) -> Iterator[Event]:
    """The events of an attempt without a test, from its rows in the store; folding them gives the rows again."""
    started = {**trial, "params": json.loads(trial["params_json"]), "at": trial["started_at"]}
    yield TrialStarted(**_fields(TrialStarted, started))
    yield from with_chosen(EpochReport(**_fields(EpochReport, report)) for report in reports)
    yield TrialEnded(**_fields(TrialEnded, {**trial, "at": trial["ended_at"]}))
    yield TrialMetered(**_fields(TrialMetered, {**trial, "at": trial["ended_at"]}))


def _fields(kind: type, row: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: row[field.name] for field in dataclasses.fields(kind)}
