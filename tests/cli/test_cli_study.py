"""``study``: what it would cost before anything starts, one line for bad input, and one small study for real."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from cli_records import sealed_store

from tune_kd.api.study_costs import PartCost, notes
from tune_kd.cli import choices, command_line
from tune_kd.cli.commands.run import run_study
from tune_kd.cli.shown.study_tables import show_study
from tune_kd.cli.study_options import Shown
from tune_kd.errors import InputError, RunFailed
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.forecast import forecast
from tune_kd.planning.paper_catalogue import STUDIES
from tune_kd.planning.paper_options import sources_given
from tune_kd.planning.paper_scales import SCALES
from tune_kd.planning.paper_studies import plan_parts
from tune_kd.planning.plan import plan_study
from tune_kd.progress.base import Progress
from tune_kd.results.outcome import Outcome
from tune_kd.store import open_store

ENTRY_POINT = str(Path(sys.executable).with_name("tune-kd"))


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command_line(["study", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_the_shell_completes_what_there_is() -> None:
    assert (tuple(STUDIES), SCALES) == (choices.PAPER_STUDIES, choices.SCALES)


def test_a_plan_counts_trainings_and_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--store", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    shown = said(capsys, "table4", "--plan-only", *where).splitlines()
    assert shown[0] == "table4, full scale: losses × data sets"
    assert "resnet18 → mobilenetv2 on cifar10, hkd: all images × 100 epochs" in shown[3]
    # 19 levels and one stochastic training, five times; of each data set one part has the student alone beside them.
    [all_parts] = [line for line in shown if line.startswith("all ")]
    assert all_parts.split() == ["all", "1220", "112,850", "—", "—", "—"]
    assert list(tmp_path.iterdir()) == []


def test_a_plan_says_what_was_changed_of_the_papers_protocol(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["table1", "--plan-only", "--set", "recipe.epochs=1", "--set", "train_limit=500", "--replicates", "1"]
    arguments += ["--store", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    changed = ["recipe.epochs=1", "train_limit=500", "replicates=1"]
    first, *_ = said(capsys, *arguments).splitlines()
    assert first.startswith(f"table1, full scale, changed: {', '.join(changed)}, which is not the paper’s protocol: ")
    found = json.loads(said(capsys, *arguments, "--json"))
    assert (found["scale"], found["changed"], found["papers_protocol"]) == ("full", changed, False)


def test_costs_are_those_of_earlier_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (part,) = plan_parts("table5", scale="small", settings={"recipe.epochs": 30})
    sealed_store(tmp_path / "runs", part)
    where = ["--store", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache"), "--set", "recipe.epochs=30"]
    found = json.loads(said(capsys, "table5", "--scale", "small", "--plan-only", "--json", *where))
    assert (found["name"], found["scale"]) == ("table5", "small")
    assert found["parts"][0]["trainings"] == 20
    assert found["all"]["energy_j"] == pytest.approx(20 * 30 * 3.6)


def test_the_results_say_what_was_changed_by_all_records_of_the_study_and_not_by_what_was_resumed_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (part,) = plan_parts("table5", settings={"recipe.epochs": 30}, replicates=2)
    store = sealed_store(tmp_path / "runs", part)
    resumed = Outcome(study=dataclasses.replace(part, runs=part.runs[:1]), store=store, statuses={})
    where = str(tmp_path / "runs")
    show_study(resumed, "table5", "full", Execution(store=where), Shown())
    text = "table5 at full scale, changed: recipe.epochs=30, replicates=2, which is not the paper’s protocol:"
    assert text in capsys.readouterr().out.splitlines()
    show_study(resumed, "table5", "full", Execution(store=where), Shown(json=True))
    found = json.loads(capsys.readouterr().out)
    assert (found["changed"], found["papers_protocol"]) == (["recipe.epochs=30", "replicates=2"], False)


@pytest.mark.parametrize("scale", SCALES)
def test_the_results_of_small_scale_say_that_they_are_no_evidence(
    scale: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (part,) = plan_parts("table5", scale=scale, replicates=1)
    store = sealed_store(tmp_path / "runs", part, trials=1)
    outcome = Outcome(study=part, store=store, statuses={})
    show_study(outcome, "table5", scale, Execution(store=str(tmp_path / "runs")), Shown())
    said = capsys.readouterr().out
    assert ("no evidence for or against the paper's claims" in said) == (scale == "small")
    assert ("Stand-ins: wrn-16-2 for resnet18, wrn-16-1 for mobilenetv2." in said) == (scale == "small")


def test_a_plan_says_which_parts_each_source_is_of_where_they_differ() -> None:
    one, two, three = plan_parts("table1", scale="small")
    sources = (one, "mean of 19 trials"), (two, "mean of 2 trials"), (three, "mean of 19 trials")
    costs = [PartCost(study=part, rows=forecast(part, None), source=source) for part, source in sources]
    assert notes(costs)[:2] == [
        "cifar10 hkd, tiny-imagenet hkd: by the mean of 19 trials.",
        "cifar100 hkd: by the mean of 2 trials.",
    ]
    assert notes(costs[::2])[0] == "By the mean of 19 trials."


def test_what_was_resumed_of_a_study_of_the_paper_is_in_its_layout_where_a_run_failed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (part,) = plan_parts("table5", settings={"recipe.epochs": 30}, replicates=2)
    store = sealed_store(tmp_path / "runs", part)
    first, *others = (run.run_id for run in part.runs)
    statuses = {first: "completed", **dict.fromkeys(others, "failed")}

    def resume(progress: Progress) -> Outcome:
        raise RunFailed("1 run failed", Outcome(study=part, store=store, statuses=statuses))

    with pytest.raises(RunFailed):
        run_study(resume, Execution(store=str(tmp_path / "runs")), Shown(quiet=True))
    assert "table5 at full scale" in capsys.readouterr().out


def test_what_a_plan_advises_tells_what_it_costs_and_another_scale_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--plan-only", "--store", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    sealed_store(tmp_path / "runs", *plan_parts("table5", scale="small"))
    before = said(capsys, "table5", *where)
    assert "tune-kd run --policy fixed --scenario NAME" in before
    assert "--scale small" not in before
    sealed_store(tmp_path / "runs", plan_study(policies=["fixed"], scenario="cifar10"))
    after = said(capsys, "table5", *where)
    assert "—" not in after
    assert "By the mean of 2 fixed-τ trials" in after


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["table2"], ["unknown study 'table2'", "table1"]),
        (["table1", "--scale", "big"], ["unknown scale 'big'", "full, small"]),
        (["table1", "--data", "photos"], ["NAME=DIR", "'photos'"]),
        (["table1", "--data", "cifar10=/nowhere"], ["'/nowhere'"]),
        (["table1", "--set", "recipe.lr"], ["--set takes key=value"]),
        ([], ["NAME"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], fragments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(["study", *arguments, "--store", str(tmp_path / "runs")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert all(fragment in line for fragment in fragments)
    assert list(tmp_path.iterdir()) == []


def test_data_that_are_not_there_and_cannot_be_got_are_one_line_that_says_how_to_give_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")  # a port where nobody listens
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies of its first use, for all tests after
    where = ["--store", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    assert command_line(["study", "table1", "--scale", "small", "--quiet", *where]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tune-kd: cifar10 is not in {tmp_path / 'cache' / 'datasets'} and cannot be downloaded")
    assert "--data-root DIR" in line
    assert not (tmp_path / "runs").exists()


def test_a_source_is_a_name_and_a_folder() -> None:
    assert sources_given(["cifar10=a", "cifar100=b=c"]) == {"cifar10": "a", "cifar100": "b=c"}
    for wrong in ("cifar10", "cifar10=", "=a"):
        with pytest.raises(InputError, match="NAME=DIR"):
            sources_given([wrong])


@pytest.mark.slow
def test_table_1_at_small_scale_for_real_on_the_embedded_digits(tmp_path: Path) -> None:
    cut = ["train_limit=200", "test_limit=100", "image_size=8", "recipe.epochs=1", "teacher_recipe.epochs=1"]
    networks = ["teacher=digits-teacher", "student=digits-student"]
    settings = [word for setting in (*cut, *networks) for word in ("--set", setting)]
    data = [word for name in STUDIES["table1"].data_sets for word in ("--data", f"{name}=digits")]
    command = [ENTRY_POINT, "study", "table1", "--scale", "small", "--max-concurrent", "1", *data, *settings]
    environment = {**os.environ, "TUNE_KD_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    trials, runs = open_store(tmp_path / "runs").trials(), open_store(tmp_path / "runs").runs()
    assert set(runs.policy) == {"student", "grid", "stochastic"}
    assert set(runs.study) == {"table1-small"}
    assert (trials.status == "completed").all()
    assert len(trials) == 21
    table = done.stdout[done.stdout.index("Table 1 layout") :]
    methods = {line.split("  ")[0] for line in table.splitlines()}
    assert methods >= {"teacher", "student alone", "tuned", "stochastic"}
    protocol = table[table.index("table1 at small scale, changed: data=digits, ") :].splitlines()[0]
    assert "train_limit=200" in protocol
    assert protocol.endswith(", which is not the paper’s protocol:")
    assert "digits-teacher → digits-student on digits, hkd: 200 images × 1 epoch" in table
