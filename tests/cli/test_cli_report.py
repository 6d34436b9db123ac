"""``report`` and ``list``: what is said of a store and of what there is to choose from."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cli_records import START, sealed_store, study

from policies import POLICIES
from search_spaces import SPACES, Dimension
from tune_kd.api import catalogues
from tune_kd.cli import command_line
from tune_kd.config.scenario import scenario_names
from tune_kd.models import MODELS
from tune_kd.models.detectors import DETECTORS
from tune_kd.planning.paper_catalogue import STUDIES
from tune_kd.planning.plan import RunPlan
from tune_kd.store import create_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report") / "runs"
    sealed_store(folder, study(["grid", "stochastic"]))
    return str(folder)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command_line(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_report_shows_the_ranking_from_the_store_alone(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "report", store).splitlines()
    assert lines[0].startswith("digits · recipe track · 20 trials")
    assert [word in lines[1] for word in ("policy", "val %", "test %", "Wh", "g CO2e", "× grid")] == [True] * 6
    assert {line.split()[0] for line in lines[3:5]} == {"grid", "stochastic"}
    assert max(map(len, lines)) <= 80


def test_report_as_csv_and_json_is_in_base_units(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    [table] = json.loads(said(capsys, "report", store, "--format", "json"))
    rows = list(csv.DictReader(io.StringIO(said(capsys, "report", store, "--format", "csv"))))
    for row in (*table, *rows):
        assert float(row["energy_j"]) == pytest.approx(2 * 30 * 3.6)
        assert float(row["test_score_mean"]) == 0.75


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two studies of one scenario: a comparison, and a later run of one of its policies with other results."""
    folder = tmp_path_factory.mktemp("twice") / "runs"
    first, again = study(["grid", "stochastic"]), study(["stochastic"])
    again = replace(again, study_id="s2", name="run", runs=tuple(renamed(run) for run in again.runs))
    sealed_store(folder, first)
    store = sealed_store(folder, again, trials=1)
    [run_id] = [run.run_id for run in again.runs]
    [row] = store.reader.rows("SELECT * EXCLUDE schema_version FROM runs", ["runs"], runs=[run_id]).to_pylist()
    store.write_run({**row, "started_at": START + timedelta(days=1)})
    return str(folder)


def renamed(run: RunPlan) -> RunPlan:
    return replace(run, study_id="s2", run_id=run.run_id.replace("s1-", "s2-"))


def energies(text: str) -> dict[str, float]:
    [table] = json.loads(text)
    return {row["label"]: row["energy_j"] for row in table}


@pytest.mark.parametrize("name", ["s1", "compare"])
def test_a_later_run_replaces_none_of_a_study_that_is_asked_for(
    twice: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = energies(said(capsys, "report", twice, "--study", name, "--format", "json"))
    assert found == pytest.approx({"grid": 2 * 30 * 3.6, "stochastic": 2 * 30 * 3.6})


@pytest.mark.parametrize("name", ["s2", "run", "latest"])
def test_the_latest_study_is_shown_alone(twice: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert energies(said(capsys, "report", twice, "--study", name, "--format", "json")) == {
        "stochastic": pytest.approx(30 * 3.6)
    }


def test_studies_that_come_together_are_said_and_what_is_left_out(
    twice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(["report", twice]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"tune-kd: all 2 studies of {twice} together, s1 to s2; --study latest shows one\n"
    text = " ".join(captured.out.split())
    assert "1 run left out, run again later with the same policy and replicate: stochastic r0 of study s1" in text


def test_a_study_that_is_not_there_is_told_with_the_nearest(twice: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["report", twice, "--study", "comprae"]) == 2
    assert "unknown study 'comprae'; did you mean 'compare'?" in capsys.readouterr().err


@pytest.mark.parametrize(("form", "sign"), [("md", "| policy |"), ("latex", r"\begin{tabular}")])
def test_report_as_a_document(store: str, form: str, sign: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sign in said(capsys, "report", store, "--format", form)


@pytest.mark.parametrize(("by", "first"), [("named", "grid"), ("accuracy", "grid"), ("energy", "grid")])
def test_report_can_be_ordered(store: str, by: str, first: str, capsys: pytest.CaptureFixture[str]) -> None:
    [table] = json.loads(said(capsys, "report", store, "--format", "json", "--by", by))
    assert table[0]["policy"] == first


def test_a_store_without_runs_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create_store(tmp_path / "runs")
    assert command_line(["report", str(tmp_path / "runs")]) == 1
    assert "there are no runs in the store" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--country", "DEU", "--html"]])
def test_report_loads_neither_torch_nor_ray(store: str, options: list[str], tmp_path: Path) -> None:
    arguments = ["report", store, *options, *([str(tmp_path / "report.html")] if "--html" in options else [])]
    code = f"import sys; from tune_kd.cli import command_line; code = command_line({arguments!r})"
    code += "; print(code, *(name for name in ('torch', 'ray') if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"


def test_report_in_a_pipe_has_neither_colour_codes_nor_trailing_blanks(store: str) -> None:
    entry_point = Path(sys.executable).with_name("tune-kd")
    done = subprocess.run([entry_point, "report", store], capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout
    assert [line for line in done.stdout.splitlines() if line != line.rstrip()] == []


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("replicated") / "runs"
    sealed_store(folder, study(["grid", "annealing:shape=exponential"], replicates=2), trials=1)
    return str(folder)


def test_with_replicates_the_verdicts_follow_the_costs(replicated: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "report", replicated).splitlines()
    costs, verdicts = (lines.index(line) for line in lines if line.startswith("digits · "))
    assert (lines[costs + 1].split()[-1], lines[verdicts].split()[-1]) == ("grid", "verdicts")
    assert {"rank", "verdict"} <= set(lines[verdicts + 1].split())
    assert "reference" in next(line for line in lines[verdicts:] if line.startswith("grid"))


def test_without_replicates_there_are_no_verdicts(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "verdict" not in said(capsys, "report", store)


def test_a_long_policy_does_not_break_within_a_word_at_80_columns(
    replicated: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = said(capsys, "report", replicated).splitlines()
    assert max(map(len, lines)) <= 80
    starts = [line.partition(" ")[0] for line in lines if line.startswith(("annealing", "shape", "exp"))]
    assert "".join(starts) == "annealing:shape=exponential" * 2


@pytest.mark.parametrize("width", [20, 40, 50, 60])
@pytest.mark.parametrize("command", [["report"], ["list", "runs", "--store"]])
def test_names_and_figures_are_whole_on_narrow_terminals(
    command: list[str], width: int, replicated: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = said(capsys, *command, replicated).splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    first = "".join(line.partition(" ")[0] for line in lines)
    assert "annealing" in first.replace("-", "")
    figure = "75.0 ±0.0" if command == ["report"] else "80.0"
    assert len([line for line in lines if figure in line]) >= (2 if command == ["report"] else 4)


def test_machines_get_costs_and_verdicts_in_one_table(replicated: str, capsys: pytest.CaptureFixture[str]) -> None:
    [table] = json.loads(said(capsys, "report", replicated, "--format", "json"))
    assert {"energy_j", "test_score_std", "verdict", "rank_best", "ratio"} <= set(table[0])


def test_the_page_is_written_and_nothing_else_changes(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "new" / "report.html"
    assert command_line(["report", store, "--html", str(page)]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"tune-kd: the page is {page}\n"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert captured.out == said(capsys, "report", store)


@pytest.mark.parametrize(("option", "name"), [("--pdf", "all.pdf"), ("--pdf", "figures"), ("--png", "figures")])
def test_figures_are_written_and_nothing_else_changes(
    option: str, name: str, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "new" / name
    assert command_line(["report", store, option, str(place)]) == 0
    captured = capsys.readouterr()
    files = [place] if place.is_file() else sorted(place.iterdir())
    start = {"--pdf": b"%PDF", "--png": b"\x89PNG"}[option]
    assert all(file.read_bytes().startswith(start) for file in files)
    assert captured.err.endswith(f"{place}\n")
    assert captured.err.startswith("tune-kd: ")
    assert captured.out == said(capsys, "report", store)


@pytest.mark.parametrize("option", ["--html", "--pdf", "--png"])
def test_files_of_a_part_of_the_records_are_refused(
    option: str, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(["report", store, "--budget", "1trial", option, str(tmp_path / "it")]) == 2
    assert f"{option} is of all that was recorded" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--html", "--pdf", "--png"])
def test_a_place_that_cannot_be_written_is_said_in_one_line(
    option: str, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert command_line(["report", store, option, str(tmp_path / "file" / "in-it")]) == 2
    error = capsys.readouterr().err
    assert "cannot be written" in error
    assert error.count("\n") == 1


def test_list_runs_shows_every_run_with_its_trials(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [line.split() for line in said(capsys, "list", "runs", "--store", store).splitlines()]
    assert rows == [
        ["run", "scenario", "status", "trials", "val", "%", "energy"],
        ["s1-grid-r0", "digits", "completed", "2", "80.0", "60.0", "mWh"],
        ["s1-stochastic-r0", "digits", "completed", "2", "80.0", "60.0", "mWh"],
    ]


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("policies", POLICIES),
        ("scenarios", scenario_names()),
        ("studies", STUDIES),
        ("spaces", SPACES),
        ("models", [*MODELS, *DETECTORS]),
    ],
)
def test_list_names_everything(what: str, names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    first_words = [line.split()[0] for line in said(capsys, "list", what).splitlines() if line.strip()]
    assert [name for name in names if name not in first_words] == []


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_says_what_it_is_and_what_varies(name: str) -> None:
    told = catalogues.said_by(POLICIES[name])
    assert "—" not in (told.title, told.across, told.within)
    assert "\n" not in told.across + told.within


def test_a_policy_shows_its_options_as_they_are_typed() -> None:
    assert catalogues.options(POLICIES["stochastic"]) == "continuous=false"
    assert catalogues.options(POLICIES["annealing"]) == "shape=linear"
    assert catalogues.options(POLICIES["grid"]) == "—"


def test_a_space_shows_its_values() -> None:
    assert catalogues.values_of(Dimension(low=2, high=20, step=1)) == "2 to 20 in steps of 1"
    assert catalogues.values_of(Dimension(low=0.5, high=1)) == "any from 0.5 to 1"
