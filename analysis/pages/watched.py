"""What is known of studies while they are run, as tables, sentences and a page: from the store alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas as pd

from analysis.figures.validation import validation_chart
from analysis.pages.headline import headline
from analysis.ranking import ranking_tables
from analysis.rendering.markup import figure, html_table, tag
from analysis.rendering.table import Table, as_rows
from analysis.runs.metric import at_start, in_percent, metric_of
from analysis.runs.reading import Records
from analysis.runs.under_way import RunState, StudyState, in_focus
from analysis.summary import comparison_title, screening, tabulate
from tune_kd import formats
from tune_kd.formats import MISSING
from tune_kd.store.reading.under_way import RUNNING

MOST_STUDIES = 20  # in the table of all of them


def sentence(study: StudyState, now: datetime) -> str:
    """How far a study is, and by when it will be done or how to go on with it."""
    done = sum(run.status == "completed" for run in study.runs)
    known = f"{done} of {formats.plural(len(study.runs), 'run')} done"
    spent = f"{formats.energy(study.energy_j)} so far"
    if study.over:
        return f"{known}, {formats.energy(study.energy_j)}."
    share = f"{known}, {100 * study.done:.0f} % in all, {spent}"
    resume = f"tune-kd resume {study.study_id} goes on with it"
    if study.silent(now):
        heard = formats.moment(study.heard_at, now)
        if all(run.abandoned for run in study.runs if run.status == RUNNING):
            return f"{share}; its driver has died, last heard at {heard}: {resume}."
        return f"{share}; nothing was heard of it since {heard}: if its driver has died, {resume}."
    if study.status == "planned" and study.heard_at is None:
        return f"{known}; none has begun yet: first come data, teacher and Ray. If its driver has died, {resume}."
    if study.status != RUNNING:
        return f"{share}; {study.status}: {resume}."
    if (at := study.done_at(now)) is None:
        return f"{share}; no trial has ended an epoch yet."
    left = formats.duration((at - now).total_seconds())
    return f"{share}; done by about {formats.moment(at, now)}, in {left}."


def studies_table(studies: Sequence[StudyState], now: datetime) -> Table:
    """The latest studies, a row each."""
    shown = studies[:MOST_STUDIES]
    rows = []
    for study in shown:
        done = sum(run.status == "completed" for run in study.runs)
        status = "silent" if study.silent(now) else study.status
        heard = formats.moment(study.heard_at, now)
        figures = f"{done}/{len(study.runs)}", _share(study.done), formats.energy(study.energy_j), heard
        rows.append([study.study_id, study.name, status, *figures])
    left_out = len(studies) - len(shown)
    return Table(
        title="Studies",
        headers=["study", "what", "status", "runs", "done", "energy", "last heard"],
        rows=rows,
        data=pd.DataFrame(rows),
        notes=[f"and {formats.plural(left_out, 'earlier study')}"] if left_out else [],
        text_columns=3,
        least=["last heard", "what"],
    )


def runs_table(study: StudyState, now: datetime) -> Table:
    """The runs of a study, a row each."""
    metrics = {run.metric for run in study.runs}
    rows = [_run_row(run, now) for run in study.runs]
    val = formats.score_name("best val", metrics.pop() if len(metrics) == 1 else "score")
    return Table(
        title="Runs",
        headers=["run", "status", "trials", "done", f"{val} %", "with", "energy", "last heard"],
        rows=rows,
        data=pd.DataFrame(rows),
        text_columns=2,
        least=["last heard", "done", "with"],
    )


def _run_row(run: RunState, now: datetime) -> list[str]:
    status = "silent" if run.silent(now) else run.status
    trials = f"{run.trials}/{run.trials_at_most}" if run.trials_at_most else str(run.trials)
    best, searched = MISSING, MISSING
    if run.incumbent is not None:
        best, searched = formats.percentage(run.incumbent["val_score"]), _params(run.incumbent)
    energy = formats.energy(run.energy_j if run.spans else None)
    return [run.name, status, trials, _share(run.done), best, searched, energy, formats.moment(run.heard_at, now)]


def trials_table(records: Records, study: StudyState, now: datetime) -> Table | None:
    """The trials of a study that are under way, a row each; None where there is none."""
    going = _trials_of(records, study)
    going = going[going["status"] == RUNNING]
    if going.empty:
        return None
    epochs = dict(zip(records.runs["run_id"], records.runs["trial_epochs"], strict=True))
    last = records.reports.sort_values("epoch").drop_duplicates("trial_id", keep="last").set_index("trial_id")["epoch"]
    rows = []
    for row in as_rows(going):
        of, at = epochs[row["run_id"]], last.get(row["trial_id"], 0)
        figures = (
            str(at) if pd.isna(of) else f"{at}/{of:g}",
            formats.percentage(row["val_score"]),
            formats.energy(_known(row["energy_j"])),
        )
        rows.append([row["name"], _params(row), *figures, formats.moment(row["ended_at"], now)])
    return Table(
        title="Trials under way",
        headers=["trial", "with", "epoch", in_percent("val", metric_of(going)), "energy", "last heard"],
        rows=rows,
        data=going,
        text_columns=2,
        least=["last heard", "energy"],
    )


def outcomes_of(records: Records, study: StudyState) -> pd.DataFrame:
    """What the runs of a study came to so far."""
    return records.outcomes[records.outcomes["run_id"].isin([run.run_id for run in study.runs])]


def _trials_of(records: Records, study: StudyState) -> pd.DataFrame:
    """The latest attempt at each trial of a study, with the trial's ``name``."""
    names = {run.run_id: run.name for run in study.runs}
    mine = records.trials[records.trials["run_id"].isin(names)].sort_values(["attempt"], kind="stable")
    mine = mine.drop_duplicates("trial_id", keep="last").sort_values("started_at", kind="stable")
    labels = [f"{names[run_id]} trial {index + 1}" for run_id, index in zip(mine["run_id"], mine["index"], strict=True)]
    return mine.assign(name=labels)


def _params(trial: dict[str, Any]) -> str:
    return formats.params(json.loads(trial["params_json"] or "{}"))


def _share(part: float) -> str:
    return f"{100 * part:.0f} %"


def _known(value: float) -> float | None:
    return None if pd.isna(value) else value


def body(records: Records, studies: Sequence[StudyState], faults: Sequence[str], now: datetime) -> str:
    """The inside of the page, as HTML; ``records`` with their epochs and with trials that are under way."""
    return "\n".join(_body(records, studies, faults, now))


def _body(records: Records, studies: Sequence[StudyState], faults: Sequence[str], now: datetime) -> Iterator[str]:
    if not studies:
        yield tag("p", "The store holds no run yet.", "headline")
        return
    for fault in faults:
        yield tag("p", f"left out: {fault}", "note")
    for study in in_focus(studies):
        yield tag("h2", f"{study.name} {study.study_id}")
        yield from _study(records, study, now)
    yield tag("h2", "All studies")
    yield html_table(replace(studies_table(studies, now), title=""))


def _study(records: Records, study: StudyState, now: datetime) -> Iterator[str]:
    yield tag("p", sentence(study, now), "headline")
    yield html_table(runs_table(study, now), "Runs")
    if (going := trials_table(records, study, now)) is not None:
        yield html_table(going, going.title)
    trials = _trials_of(records, study)
    chosen = {run.incumbent["trial_id"] for run in study.runs if run.incumbent is not None}
    labels = {
        row["trial_id"]: f"{row['name']}{', best so far' if row['trial_id'] in chosen else ''}"
        for row in as_rows(trials[trials["trial_id"].isin(chosen) | (trials["status"] == RUNNING)])
    }
    metric = metric_of(trials)
    if (chart := validation_chart(records.reports, labels, metric)) is not None:
        yield tag("h3", f"{at_start(metric)} on the validation set")
        yield figure(chart, "after each epoch, of the trials under way and of each run's best so far")
    yield from _ranking(records, study)


def _ranking(records: Records, study: StudyState) -> Iterator[str]:
    """The report's ranking of what has been completed; what is under way is in none of its numbers."""
    mine = outcomes_of(records, study)
    for comparison, rows in tabulate(mine).groupby("comparison", sort=True):
        of_it = mine[mine["comparison"] == comparison]
        yield tag("h3", f"The ranking as it stands: {comparison_title(rows.iloc[0])}")
        yield tag("p", headline(of_it, int(str(comparison))))
        if stamp := screening(rows):
            yield tag("p", stamp, "stamp")
        for table in ranking_tables(of_it):
            yield html_table(replace(table, title=""))
