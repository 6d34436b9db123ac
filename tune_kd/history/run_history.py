"""What a run has already done, read from the store: its events again, and what is left of its trials."""

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
from tune_kd.history.records import plain_rows
from tune_kd.store import Store


@dataclass(kw_only=True)
class KnownTrial:
    """A trial by our name, and how far it is."""

    trial_id: str
    index: int
    params: dict[str, float]
    attempt: int = -1  # the last one that began
    epoch: int = 0  # the last one that was reported
    reported: int = 0  # the same, by the attempt under way
    open: bool = False  # is an attempt under way?
    status: str | None = None  # how the last attempt ended
    failures: int = 0  # attempts of earlier drivers that failed
    tries_left: bool = False  # may it be tried again after a failure?
    last: dict[int, EpochReport] = field(default_factory=dict)  # the last report of each attempt that had any

    @property
    def config(self) -> dict[str, Any]:
        """What a scheduler may go by: it is in the config of Tune's own trial, too."""
        return {"index": self.index, "params": self.params}

    @property
    def result(self) -> dict[str, float | None] | None:
        """What a searcher may learn from: the accuracy of the weights handed in, and what all attempts cost until then.

        Joules are None where an attempt could not be measured. It is made of reports alone, so a searcher that is
        fed from the store hears to the last bit what it heard in the run.
        """
        reports = list(self.last.values())
        if not reports or (accuracy := reports[-1].chosen_accuracy) is None:
            return None
        joules = [report.energy_j for report in reports]
        return {
            "val_accuracy": accuracy,
            "energy_j": None if None in joules else math.fsum(filter(None, joules)),
            "flops_executed": float(sum(report.flops_executed for report in reports)),
        }

    @property
    def chosen_before(self) -> dict[str, Any]:
        """What earlier attempts chose to hand in, where the last one had nothing left to do; else empty."""
        if self.attempt in self.last or not self.last:
            return {}
        last = self.last[max(self.last)]
        return {
            "checkpoint_epoch": last.checkpoint_epoch,
            "val_accuracy": last.chosen_accuracy,
            "val_loss": last.chosen_loss,
            "diverged_epoch": last.diverged_epoch,
        }

    @property
    def unfinished(self) -> bool:
        """Did its last attempt die without anybody's decision? Then it goes on from its checkpoint."""
        return self.status == "lost" or (self.status == "failed" and self.tries_left)


@dataclass(frozen=True, kw_only=True)
class Past:
    """The trials of a run in the order of their suggestion, and every event that the ledger charged."""

    trials: tuple[KnownTrial, ...] = ()
    events: tuple[Event, ...] = ()
    untested: tuple[tuple[Event, ...], ...] = ()  # attempts that ended well, but whose test set was not read yet

    def replay(self, searcher: Searcher) -> None:
        """Bring a fresh searcher to where the old one was: the same suggestions, the same results.

        Raises StoreError where it suggests something else than what was run.
        """
        for trial in self.trials:
            params = searcher.suggest(trial.trial_id)
            if params != trial.params:
                raise StoreError(
                    f"trial {trial.trial_id} was run with {trial.params}, but its searcher now suggests {params}: "
                    f"the search cannot be repeated with the packages that are installed here"
                )
            if not trial.unfinished:
                tell(searcher, trial)

    def retell(self, scheduler: TrialScheduler) -> None:
        """Bring a fresh scheduler to what the old one had seen: later trials are judged against earlier ones.

        A trial that goes on is left out: it reports under a new name, and should not be judged against itself.
        """
        ended: dict[str, Any] = {trial.trial_id: trial for trial in self.trials if not trial.unfinished}
        last: dict[str, dict[str, Any]] = {}
        reports = [event for event in self.events if isinstance(event, EpochReport) and event.trial_id in ended]
        for report in sorted(reports, key=lambda report: report.at):
            if report.trial_id not in last:
                scheduler.on_trial_add(None, ended[report.trial_id])
            last[report.trial_id] = {"epoch": report.epoch, "val_accuracy": report.val_accuracy}
            scheduler.on_trial_result(None, ended[report.trial_id], last[report.trial_id])
        for trial_id, result in last.items():
            scheduler.on_trial_complete(None, ended[trial_id], result)


def tell(searcher: Searcher, trial: KnownTrial) -> None:
    """Give a searcher a trial's result."""
    result = None if trial.status == "failed" else trial.result
    searcher.on_trial_complete(trial.trial_id, result, result is None)


def past_of(store: Store, run_id: str, max_failures: int = 0) -> Past:
    """The past of a run; empty for one that has not begun. Journals must be sealed before.

    A trial that failed at most ``max_failures`` times is unfinished: its driver did not live to try it again.
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
        trial.attempt, trial.status = row["attempt"], row["status"]
        trial.failures += trial.status == "failed"
        trial.tries_left = trial.failures <= max_failures
        told = of_attempt.get((row["trial_id"], row["attempt"]), [])
        trial.epoch = max([trial.epoch, *(report["epoch"] for report in told)])
        of_row = tuple(events_of(row, told))
        trial.last |= {event.attempt: event for event in of_row if isinstance(event, EpochReport)}
        events += of_row
        handed_in = row["status"] == "completed" or (row["status"] == "stopped" and row["epochs"])
        if handed_in and row["tested_at"] is None:
            untested.append(of_row)
    return Past(trials=tuple(known.values()), events=tuple(events), untested=tuple(untested))


def events_of(trial: Mapping[str, Any], reports: Iterable[Mapping[str, Any]]) -> Iterator[Event]:
    """The events of an attempt that was not tested, from its rows in the store; folding them gives the rows again."""
    started = {**trial, "params": json.loads(trial["params_json"]), "at": trial["started_at"]}
    yield TrialStarted(**_fields(TrialStarted, started))
    yield from with_chosen(EpochReport(**_fields(EpochReport, report)) for report in reports)
    yield TrialEnded(**_fields(TrialEnded, {**trial, "at": trial["ended_at"]}))
    yield TrialMetered(**_fields(TrialMetered, {**trial, "at": trial["ended_at"]}))


def _fields(kind: type, row: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: row[field.name] for field in dataclasses.fields(kind)}
