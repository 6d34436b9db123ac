"""Replays at a smaller budget: against the definition, run through by hand, and against the records themselves."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import DAY, Row, make_frames, run, trial

from analysis.rendering.table import as_rows
from analysis.runs import replay as replaying
from analysis.runs.outcomes import run_outcomes
from analysis.runs.replay import CUT, KEY, replay
from tune_kd.errors import InputError
from tune_kd.store.reading.incumbents import incumbents

EPOCHS = 3


def told(row: Row, epoch: int, minute: float, joules: float) -> Row:
    """A report of an attempt; its costs in other currencies are in proportion to those of ``trial``."""
    costs = {"energy_j": joules, "flops_executed": 10 * joules, "co2e_g": joules / 10, "duration_s": joules / 2}
    at = DAY + pd.Timedelta(minutes=minute)
    return {**{key: row[key] for key in KEY}, "epoch": epoch, "at": at, "val_score": 0.5, **costs}


def two_side_by_side() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Trials 0 and 1 take turns, 3 epochs each; 9 J by reports and 1 J behind the last; then trial 2 alone."""
    minutes = {0: (1, 3, 5), 1: (2, 4, 6), 2: (8, 9, 10)}
    trials = [
        trial("a", 0, 0.7, 0.71, ended_at=DAY + pd.Timedelta(minutes=5.5)),
        trial("a", 1, 0.9, 0.88, ended_at=DAY + pd.Timedelta(minutes=7)),
        trial("a", 2, 0.8, 0.95, ended_at=DAY + pd.Timedelta(minutes=11)),
    ]
    reports = [
        told(row, epoch + 1, minutes[row["index"]][epoch], 3.0 * (epoch + 1)) for row in trials for epoch in range(3)
    ]
    return pd.DataFrame([run("a", "random")]), pd.DataFrame(trials), pd.DataFrame(reports)


@pytest.mark.parametrize(
    ("joules", "statuses", "energy_j", "test_score"),
    [
        (2.9, {}, 0, None),
        (3, {0: CUT}, 3, None),
        (14, {0: CUT, 1: CUT}, 12, None),  # the epoch that ends at 15 J comes after the budget is spent
        (15, {0: "completed", 1: CUT}, 16, 0.71),  # ended, and its last joule after that is its own
        (18.9, {0: "completed", 1: CUT}, 16, 0.71),
        (19, {0: "completed", 1: "completed"}, 20, 0.88),
        (23, {0: "completed", 1: "completed", 2: CUT}, 23, 0.88),
        (29, {0: "completed", 1: "completed", 2: "completed"}, 30, 0.88),
        (1e6, {0: "completed", 1: "completed", 2: "completed"}, 30, 0.88),  # validation chooses, not test
    ],
)
def test_what_is_reported_after_the_budget_is_spent_does_not_count(
    joules: float, statuses: dict[int, str], energy_j: float, test_score: float | None
) -> None:
    done = replay(*two_side_by_side(), currency="joules", limit=joules)
    assert dict(zip(done.trials["index"], done.trials["status"], strict=True)) == statuses
    [outcome] = as_rows(run_outcomes(done.runs, done.trials))
    assert done.trials["energy_j"].sum() == pytest.approx(energy_j)
    assert outcome["counted"] == (test_score is not None)
    if test_score is not None:
        assert outcome["test_score"] == test_score
        assert outcome["energy_j"] == pytest.approx(energy_j)
    assert (outcome["budget_currency"], outcome["budget_limit"]) == ("joules", joules)


@pytest.mark.parametrize(
    ("currency", "limit"), [("flops", 150), ("gco2e", 1.5), ("seconds", 7.5), ("epochs", 5), ("joules", 15)]
)
def test_every_currency_replays(currency: str, limit: float) -> None:
    runs, trials, reports = two_side_by_side()
    costs = {"flops_executed": 100.0, "co2e_g": 1.0, "duration_s": 5.0}
    done = replay(runs, trials.assign(**costs), reports, currency=currency, limit=limit)
    assert done.trials["status"].tolist() == ["completed", CUT]
    assert done.trials["epochs"].tolist() == [3, 2]
    assert done.trials["energy_j"].tolist() == [10, 6]


def test_a_budget_in_trials_takes_the_first_ones_with_all_their_attempts() -> None:
    runs, trials, reports = two_side_by_side()
    failed = {**trial("a", 0, None, None), "status": "failed", "epochs": 0}
    trials = pd.concat([pd.DataFrame([failed]), trials.assign(attempt=1)], ignore_index=True)
    done = replay(runs, trials, reports, currency="trials", limit=2)
    assert done.trials["index"].tolist() == [0, 0, 1]
    assert done.short == ()
    assert replay(runs, trials, reports, currency="trials", limit=4).short == ("a",)


def test_what_failed_before_its_first_report_is_charged() -> None:
    runs, trials, reports = two_side_by_side()
    died = {**trial("a", 3, None, None), "status": "failed", "epochs": 0, "energy_j": 2.0}
    trials = pd.concat([trials, pd.DataFrame([{**died, "ended_at": DAY}])], ignore_index=True)
    assert replay(runs, trials, reports, currency="joules", limit=16).trials["status"].tolist() == [CUT, CUT, "failed"]
    done = replay(runs, trials, reports, currency="joules", limit=17)
    assert done.trials["status"].tolist() == ["completed", CUT, "failed"]


def test_teacher_outputs_that_trials_share_are_charged_first() -> None:
    runs, trials, reports = two_side_by_side()
    shared = runs.assign(shared_energy_j=5.0, shared_flops=1.0)
    assert replay(shared, trials, reports, currency="joules", limit=19).trials["status"].tolist() == [CUT, CUT]
    assert "completed" in set(replay(shared, trials, reports, currency="joules", limit=20).trials["status"])


def test_a_run_that_was_not_measured_is_left_out_and_named() -> None:
    runs, trials, reports = two_side_by_side()
    reports.loc[2, "energy_j"] = None
    done = replay(runs, trials, reports, currency="joules", limit=15)
    assert done.unmeasured == ("a",)
    assert done.trials.empty
    assert not run_outcomes(done.runs, done.trials)["counted"].any()
    assert any("nothing measured" in line and "random" in line for line in replaying.notes(done))


@settings(max_examples=25)
@given(share=st.floats(0.01, 1.5))
def test_a_replay_is_a_prefix_of_the_records(share: float) -> None:
    frames = make_frames(replicates=2)
    limit = share * 20 * 3600
    done = replay(frames.runs, frames.trials, frames.reports, currency="joules", limit=limit)
    spent = done.trials.groupby("run_id")["energy_j"].sum()
    assert (spent <= limit).all()
    ended = done.trials[done.trials["status"] == "completed"]
    pd.testing.assert_frame_equal(ended, frames.trials.loc[ended.index], check_dtype=False)
    for run_id, incumbent in incumbents(done.trials).iterrows():
        mine = frames.trials[frames.trials["run_id"] == run_id].head(len(ended[ended["run_id"] == run_id]))
        assert incumbent["val_score"] == mine["val_score"].max()


def test_a_budget_that_nothing_reaches_changes_nothing() -> None:
    frames = make_frames(replicates=2)
    done = replay(frames.runs, frames.trials, frames.reports, currency="joules", limit=1e12)
    pd.testing.assert_frame_equal(done.trials, frames.trials)
    assert len(done.short) == len(frames.runs)


def test_the_usual_tables_show_it_and_mark_policies_that_adapt() -> None:
    frames = make_frames(replicates=2)
    done = replay(frames.runs, frames.trials, frames.reports, currency="joules", limit=5 * 3600)
    [table] = replaying.tables(done, frames.nodes)
    assert "18000 joules" in table.title
    assert {row[0] for row in table.rows} == {"grid", "random", "tpe", "annealing", "stochastic"}
    assert any(line.endswith("under this budget: tpe") for line in table.notes)
    assert any("10" in line and "ended before" in line and "annealing, stochastic" in line for line in table.notes)


def test_a_policy_of_ones_own_that_adapts_is_marked_by_its_record() -> None:
    runs, trials, reports = two_side_by_side()
    runs = runs.assign(policy="mine", policy_json='{"adapts": true}')
    assert any(
        line.endswith("under this budget: mine")
        for line in replaying.notes(replay(runs, trials, reports, currency="joules", limit=15))
    )


@pytest.mark.parametrize(("currency", "limit"), [("energy", 1.0), ("joules", 0.0), ("joules", float("nan"))])
def test_what_is_no_budget_is_refused(currency: str, limit: float) -> None:
    with pytest.raises(InputError):
        replay(*two_side_by_side(), currency=currency, limit=limit)
