"""How far runs and studies are, and by when they will be done, from their records alone.

What is done is a share of the trials that a run can have or of its budget, whichever is nearer its end. How long the
rest takes follows from how long it was worked on what is done: the times in which some trial was under way. So a pause
between an interruption and its resumption counts for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from analysis.rendering.table import as_rows
from analysis.runs.accounting import CURRENCIES, Accounting, as_float, columns, run_costs
from analysis.runs.reading import Records
from tune_kd.store.ids import base_id
from tune_kd.store.reading.incumbents import incumbents
from tune_kd.store.reading.under_way import RUNNING

OVER = ("completed", "failed")  # what is not gone on with
SILENT_S = 120.0  # after so long without a sign of life, or
SILENT_EPOCHS = 5  # so many epochs, a run that should be under way is said to be silent

Span = tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True)
class RunState:
    """How far one run is."""

    run_id: str
    name: str  # the policy as it was named, and the replicate
    status: str
    trials: int  # ended ones
    trials_at_most: int | None
    done: float  # the share that is done, 0–1
    spans: tuple[Span, ...]  # from when to when each attempt was under way
    epoch_s: float  # the mean length of an epoch
    energy_j: float | None
    metric: str
    incumbent: dict[str, Any] | None  # its row of ``trials``
    started_at: datetime | None
    abandoned: bool = False  # has its driver died?

    @property
    def heard_at(self) -> datetime | None:
        """Its last sign of life."""
        return max((end for _, end in self.spans), default=self.started_at)

    def silent(self, now: datetime) -> bool:
        """Should it be under way, but its driver has died, or nothing was heard of it for too long?"""
        if self.status != RUNNING or self.heard_at is None:
            return False
        silence_s = (now - self.heard_at).total_seconds()
        return self.abandoned or silence_s > max(SILENT_S, SILENT_EPOCHS * self.epoch_s)


@dataclass(frozen=True, kw_only=True)
class StudyState:
    """How far a study is, all its parts together."""

    study_id: str
    name: str
    runs: tuple[RunState, ...]

    @property
    def over(self) -> bool:
        """Has every run come to its end?"""
        return all(run.status in OVER for run in self.runs)

    @property
    def status(self) -> str:
        """``running`` if some run is, else what most of those that are not over are; ``completed`` if none is left."""
        statuses = [run.status for run in self.runs]
        if self.over:
            return "failed" if "failed" in statuses else "completed"
        left = [status for status in statuses if status not in OVER]
        return RUNNING if RUNNING in left else max(left, key=left.count)

    @property
    def done(self) -> float:
        """The mean over the runs: they count by the trials that they can have, where all say it, else all the same."""
        sizes = [run.trials_at_most for run in self.runs]
        weights = [1.0 if size is None or None in sizes else float(size) for size in sizes]
        return sum(run.done * weight for run, weight in zip(self.runs, weights, strict=True)) / sum(weights)

    @property
    def energy_j(self) -> float | None:
        """What was spent so far; None if a part of it was not measured."""
        spent = [run.energy_j for run in self.runs if run.spans]
        return None if not spent or None in spent else sum(joules for joules in spent if joules is not None)

    def silent(self, now: datetime) -> bool:
        """Are there runs that should be under way, and all of them silent?"""
        going = [run for run in self.runs if run.status == RUNNING]
        return bool(going) and all(run.silent(now) for run in going)

    @property
    def heard_at(self) -> datetime | None:
        """Its last sign of life."""
        return max((run.heard_at for run in self.runs if run.heard_at is not None), default=None)

    def done_at(self, now: datetime) -> datetime | None:
        """By when all is done if it goes on as it went; None where it does not go on, or nothing is known yet."""
        if self.status != RUNNING or self.silent(now) or not 0 < self.done < 1:
            return None
        worked_s = covered_s(span for run in self.runs for span in run.spans)
        return now + timedelta(seconds=worked_s * (1 - self.done) / self.done) if worked_s else None


def states(records: Records, abandoned: Collection[str] = ()) -> list[StudyState]:
    """The studies of these records, the latest first; ``records`` with trials that are under way.

    ``abandoned`` are the ids of runs whose driver is known to have died.
    """
    runs = columns(records.runs, ("trials_at_most", "trial_epochs", "study", "metric", "budget_limit"))
    spent = {
        currency.budget: run_costs(runs, records.trials, Accounting(currency=name))
        for name, currency in CURRENCIES.items()
    }
    best = incumbents(records.trials)
    by_run = dict(list(records.trials.groupby("run_id")))
    found: dict[str, list[RunState]] = {}
    names: dict[str, str] = {}
    for row in as_rows(runs.astype(object).where(runs.notna(), None)):
        run_id = row["run_id"]
        limit, costs = row["budget_limit"], spent.get(row["budget_currency"], pd.Series(dtype=float))
        share = costs.get(run_id, float("nan")) / limit if limit else float("nan")
        incumbent = as_rows(best.loc[[run_id]].reset_index())[0] if run_id in best.index else None
        study_id = base_id(row["study_id"] or "")
        part = (row["study_id"] or "").removeprefix(study_id).lstrip("-")
        names[study_id] = row["study"] or ""
        mine = by_run.get(run_id, records.trials.iloc[:0])
        run = _run(row, mine, share, incumbent, spent["joules"].get(run_id))
        name = f"{part}: {run.name}" if part else run.name
        found.setdefault(study_id, []).append(replace(run, name=name, abandoned=run_id in abandoned))
    return [
        StudyState(study_id=study_id, name=names[study_id], runs=tuple(found[study_id]))
        for study_id in sorted(found, reverse=True)  # ids begin with the time at which they were planned
    ]


def _run(
    row: dict[str, Any], trials: pd.DataFrame, share: float, incumbent: dict[str, Any] | None, energy_j: float | None
) -> RunState:
    latest = trials.sort_values("attempt").drop_duplicates("trial_id", keep="last")
    ended = int((latest["status"] != RUNNING).sum())
    done = 0.0 if pd.isna(share) else share
    if row["trials_at_most"]:
        going = as_float(latest.loc[latest["status"] == RUNNING, "epochs"]).sum()
        trained = ended + (going / row["trial_epochs"] if row["trial_epochs"] else 0.0)
        done = max(done, trained / row["trials_at_most"])
    epochs, seconds = as_float(trials["epochs"]).sum(), as_float(trials["duration_s"]).sum()
    times = trials[["started_at", "ended_at"]].dropna()
    return RunState(
        run_id=row["run_id"],
        name=f"{row['policy']} r{row['replicate'] or 0:g}",
        status=row["status"] or "",
        trials=ended,
        trials_at_most=row["trials_at_most"],
        done=1.0 if row["status"] in OVER else min(done, 1.0),
        spans=tuple((start.to_pydatetime(), end.to_pydatetime()) for start, end in times.itertuples(index=False)),
        epoch_s=seconds / epochs if epochs else 0.0,
        energy_j=None if pd.isna(energy_j) else energy_j,
        metric=row["metric"] or "accuracy",
        incumbent=incumbent,
        started_at=row["started_at"] and row["started_at"].to_pydatetime(),
    )


def covered_s(spans: Iterable[Span]) -> float:
    """The seconds that are in at least one of the spans."""
    total, until = 0.0, None
    for start, end in sorted(spans):
        first = start if until is None else max(start, until)
        if end > first:
            total += (end - first).total_seconds()
            until = end
    return total


def in_focus(studies: Sequence[StudyState]) -> list[StudyState]:
    """The studies that are under way; if none is, the latest."""
    return [study for study in studies if study.status == RUNNING] or list(studies[:1])
