"""How ``run``, ``compare`` and ``resume`` end: the whole study's table, also when a part of it failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_records import sealed_store, study

from analysis.runs.reading import read
from tune_kd.cli.commands.run import run_study
from tune_kd.cli.shown.results import document, show_results
from tune_kd.cli.study_options import Shown
from tune_kd.errors import RunFailed
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.results.outcome import Outcome


@pytest.fixture
def plan() -> Study:
    return study(["grid", "stochastic"])


@pytest.fixture
def outcome(tmp_path: Path, plan: Study) -> Outcome:
    store = sealed_store(tmp_path / "runs", plan)
    return Outcome(study=plan, store=store, statuses={run.run_id: "completed" for run in plan.runs})


def fail_one(outcome: Outcome) -> Outcome:
    """The same with its second run failed: in the store and in the statuses."""
    [row] = outcome.store.reader.rows(
        "SELECT * EXCLUDE schema_version FROM runs WHERE policy = 'stochastic'", ["runs"]
    ).to_pylist()
    outcome.store.write_run({**row, "status": "failed", "error": "RuntimeError: out of memory"})
    return Outcome(study=outcome.study, store=outcome.store, statuses={**outcome.statuses, row["run_id"]: "failed"})


def test_the_table_is_followed_by_where_the_records_are_and_how_to_go_on(
    outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    show_results(outcome, store="./runs", as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("digits · recipe track")
    assert lines[-3:] == ["", "The records are in ./runs, study s1.", "Go on with: tune-kd report"]


def test_a_resumed_study_shows_the_runs_that_had_ended_before(
    outcome: Outcome, plan: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    left = Study(study_id="s1", name="compare", runs=plan.runs[1:])
    show_results(Outcome(study=left, store=outcome.store, statuses={}), store="elsewhere", as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines[3:5]} == {"grid", "stochastic"}
    assert lines[-1] == "Go on with: tune-kd report elsewhere"


def test_other_studies_of_the_store_are_left_out(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"run_id": "s2-tpe-r0", "study_id": "s2", "scenario": "digits", "policy": "tpe", "status": "planned"}
    outcome.store.write_run(row)
    show_results(outcome, store="./runs", as_json=False)
    shown = capsys.readouterr().out
    assert "tpe" not in shown
    assert shown.endswith("Go on with: tune-kd report --study s1\n")


def test_the_json_document_has_the_study_its_runs_and_the_table(outcome: Outcome) -> None:
    records = read(outcome.store, study_id="s1")
    made: dict[str, Any] = json.loads(
        json.dumps(document(records, "s1", ["grid", "stochastic"], "runs"), allow_nan=False)
    )
    assert (made["study_id"], made["store"]) == ("s1", "runs")
    assert made["runs"][1] == {
        "run_id": "s1-stochastic-r0",
        "policy": "stochastic",
        "replicate": 0,
        "status": "completed",
    }
    assert [row["policy"] for row in made["table"]] == ["grid", "stochastic"]
    assert made["table"][0]["energy_j"] == pytest.approx(216)
    assert made["table"][0]["test_score_std"] is None  # of one replicate


def failing(outcome: Outcome | None, text: str) -> Any:
    def start(progress: Progress) -> Outcome:
        raise RunFailed(text, outcome)

    return start


def test_what_worked_is_shown_before_the_failure_gets_its_line(
    outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunFailed, match="1 of 2 runs failed"):
        run_study(failing(fail_one(outcome), "1 of 2 runs failed"), Execution(), Shown(quiet=True))
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("grid") and "80.0" in line for line in lines)
    assert any("1 run failed" in line for line in lines)


@pytest.mark.parametrize("reached", [True, False])
def test_where_nothing_worked_there_is_no_table(
    outcome: Outcome, reached: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = Outcome(study=outcome.study, store=outcome.store, statuses=dict.fromkeys(outcome.statuses, "failed"))
    with pytest.raises(RunFailed):
        run_study(failing(nothing if reached else None, "2 of 2 runs failed"), Execution(), Shown(quiet=True))
    assert capsys.readouterr().out == ""


def test_a_failure_is_in_the_json_document(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunFailed):
        run_study(failing(fail_one(outcome), "1 of 2 runs failed"), Execution(), Shown(quiet=True, json=True))
    made = json.loads(capsys.readouterr().out)
    assert [run["status"] for run in made["runs"]] == ["completed", "failed"]
