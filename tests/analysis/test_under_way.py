"""How far a study is and when it will be done, worked out by hand; what is said of one that has stopped."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest
import synthetic
from synthetic import DAY

from analysis.figures.validation import MOST, validation_chart
from analysis.pages.watched import sentence
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records
from analysis.runs.under_way import StudyState, covered_s, in_focus, states
from tune_kd.store.columns import NODES, REPORTS
from tune_kd.store.reading.under_way import RUNNING


def at(seconds: float) -> datetime:
    return DAY.to_pydatetime() + timedelta(seconds=seconds)


def run(run_id: str, **changes: Any) -> dict[str, Any]:
    planned = {"trials_at_most": 4, "trial_epochs": 10, "study_id": "20260101-000000-abcde", "study": "compare"}
    return synthetic.run(run_id, "grid", **{"status": "running", **planned, **changes})


def trial(run_id: str, index: int, start_s: float, end_s: float, **changes: Any) -> dict[str, Any]:
    """A whole trial of 10 epochs and 100 J unless it says otherwise."""
    row = synthetic.trial(run_id, index, 0.5 + index / 10, None, epochs=10, energy_j=100.0, duration_s=end_s - start_s)
    return {**row, "started_at": at(start_s), "ended_at": at(end_s), "params_json": '{"tau": 4}', **changes}


def state(runs: list[dict[str, Any]], trials: list[dict[str, Any]], **options: Any) -> StudyState:
    frames = pd.DataFrame(runs), pd.DataFrame(trials, columns=None if trials else list(trial("r", 0, 0, 1)))
    nodes, reports = (pd.DataFrame(columns=[column.name for column in columns]) for columns in (NODES, REPORTS))
    outcomes = run_outcomes(*frames)
    records = Records(runs=frames[0], trials=frames[1], reports=reports, nodes=nodes, outcomes=outcomes)
    [study] = states(records, **options)
    return study


HALF = [trial("r", 0, 0, 40), trial("r", 1, 40, 70), trial("r", 2, 70, 80, status=RUNNING, epochs=0)]


def test_half_of_the_trials_in_eighty_seconds_leaves_eighty() -> None:
    study = state([run("r")], HALF)
    assert study.done == 0.5
    assert study.done_at(at(80)) == at(160)


def test_a_part_of_a_trial_counts_by_its_epochs() -> None:
    study = state([run("r")], [trial("r", 0, 0, 40), trial("r", 1, 40, 60, status=RUNNING, epochs=5)])
    assert study.done == pytest.approx(1.5 / 4)
    assert study.done_at(at(60)) == at(60 + 100)


def test_a_pause_counts_for_nothing() -> None:
    day = timedelta(days=1)
    later = [{**row, "started_at": row["started_at"] + day, "ended_at": row["ended_at"] + day} for row in HALF[1:]]
    now = at(80) + day
    assert state([run("r")], [HALF[0], *later]).done_at(now) == now + timedelta(seconds=80)


def test_of_a_budget_that_part_is_done_which_is_spent() -> None:
    spent = {"budget_currency": "joules", "budget_limit": 1000.0, "trials_at_most": None}
    assert state([run("r", **spent)], HALF[:2]).done == 0.2
    assert state([run("r", **{**spent, "trials_at_most": 4})], HALF[:2]).done == 0.5


def test_runs_count_by_the_trials_that_they_can_have() -> None:
    runs = [run("r", trials_at_most=3), run("s", trials_at_most=1, status="completed")]
    assert state(runs, [trial("s", 0, 0, 10)]).done == 0.25
    assert state([run("r", trials_at_most=None), runs[1]], [trial("s", 0, 0, 10)]).done == 0.5


def test_the_energy_of_a_study_is_known_only_where_all_of_it_was_measured() -> None:
    runs = [run("r"), run("s", replicate=1)]
    rows = [trial("r", 0, 0, 10), trial("s", 0, 0, 10)]
    assert state(runs, rows[:1]).energy_j == 100.0
    assert state(runs, rows).energy_j == 200.0
    assert state(runs, [rows[0], {**rows[1], "energy_j": None}]).energy_j is None


def test_overlapping_times_count_once() -> None:
    assert covered_s([]) == 0
    assert covered_s([(at(0), at(10)), (at(5), at(12)), (at(6), at(8)), (at(20), at(21))]) == 13


def test_what_is_said_of_a_study_under_way_names_its_end() -> None:
    said = sentence(state([run("r")], HALF), at(80))
    assert said.startswith("0 of 1 run done, 50 % in all, 83.3 mWh so far; done by about ")
    assert said.endswith(", in 1 min 20 s.")


def test_a_silent_study_is_not_promised_an_end() -> None:
    study = state([run("r")], HALF)
    assert not study.silent(at(80 + 119))
    assert study.silent(at(80 + 121))
    assert study.done_at(at(80 + 121)) is None
    assert "nothing was heard of it since" in sentence(study, at(80 + 121))


def test_long_epochs_are_waited_for() -> None:
    hours = [trial("r", 0, 0, 36_000)]  # an hour an epoch
    assert not state([run("r")], hours).silent(at(36_000 + 4.9 * 3600))
    assert state([run("r")], hours).silent(at(36_000 + 5.1 * 3600))


def test_of_a_dead_driver_it_is_said_at_once_how_to_go_on() -> None:
    study = state([run("r")], HALF, abandoned=["r"])
    said = sentence(study, at(80))
    assert "its driver has died" in said
    assert "tune-kd resume 20260101-000000-abcde" in said


@pytest.mark.parametrize(
    ("status", "ending"), [("completed", "1 of 1 run done, 83.3 mWh."), ("stopped", "goes on with it.")]
)
def test_what_is_said_of_a_study_that_is_not_under_way(status: str, ending: str) -> None:
    assert sentence(state([run("r", status=status)], HALF), at(80)).endswith(ending)


def test_the_page_is_of_what_is_under_way_else_of_the_latest() -> None:
    old, new = state([run("a", study_id="1", status="completed")], HALF), state([run("b", study_id="2")], HALF)
    assert in_focus([new, old]) == [new]
    assert in_focus([state([run("b", study_id="2", status="planned")], []), old])[0].study_id == "2"
    assert in_focus([]) == []


def test_curves_of_two_attempts_are_one_and_the_last_attempt_counts() -> None:
    rows = [("a", 0, 1, 0.1), ("a", 0, 2, 0.2), ("a", 1, 2, 0.25), ("a", 1, 3, float("nan")), ("b", 0, 1, 0.5)]
    reports = pd.DataFrame(rows, columns=["trial_id", "attempt", "epoch", "val_score"])
    chart = validation_chart(reports, {"a": "first", "none": "unheard"}, "accuracy")
    assert chart is not None
    [curve] = chart["series"]
    assert curve["rows"]["epoch"] == [[1, 10.0, None, None], [2, 25.0, None, None], [3, None, None, None]]
    assert validation_chart(reports, {"none": "unheard"}, "accuracy") is None


def test_of_too_many_curves_the_last_are_drawn() -> None:
    names = {f"t{index}": f"trial {index}" for index in range(MOST + 3)}
    reports = pd.DataFrame([{"trial_id": name, "attempt": 0, "epoch": 1, "val_score": 0.5} for name in names])
    chart = validation_chart(reports, names, "accuracy")
    assert chart is not None
    assert [one["label"] for one in chart["series"]] == list(names.values())[3:]
