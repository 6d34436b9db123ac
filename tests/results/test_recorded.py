"""What an outcome and a store say of their runs, and how they show themselves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from cli_records import sealed_store, study
from matplotlib.figure import Figure

import tune_kd
from analysis.figures.widths import COLUMN
from tune_kd.errors import InputError, StoreError
from tune_kd.progress.asked import display
from tune_kd.progress.base import Progress
from tune_kd.progress.displays import LineProgress
from tune_kd.results.outcome import Outcome
from tune_kd.results.store import RecordedStore, create_store


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    planned = study(["grid", "stochastic"], replicates=2)
    folder = tmp_path_factory.mktemp("recorded") / "runs"
    sealed_store(folder, planned)
    statuses = {run.run_id: "completed" for run in planned.runs}
    return Outcome(study=planned, store=tune_kd.open_store(folder), statuses=statuses)


@pytest.fixture(params=["outcome", "store"])
def recorded(request: pytest.FixtureRequest, outcome: Outcome) -> Outcome | RecordedStore:
    return outcome if request.param == "outcome" else outcome.store


def test_a_ranking_has_a_row_a_policy_what_matters_first(recorded: Outcome | RecordedStore) -> None:
    ranking = recorded.ranking()
    assert list(ranking["label"]) == ["grid", "stochastic"]
    assert list(ranking["replicates"]) == [2, 2]
    # Of each run two trials of 30 mWh (tests/helpers/cli_records.py).
    assert list(ranking["energy_j"]) == pytest.approx([216.0, 216.0])
    assert list(ranking.columns[:3]) == ["comparison", "scenario", "label"]


def test_verdicts_are_a_row_a_pair_and_curves_a_row_a_step(recorded: Outcome | RecordedStore) -> None:
    [pair] = recorded.verdicts().to_dict("records")
    assert (pair["a"], pair["b"], pair["n"], pair["difference"]) == ("grid", "stochastic", 2, 0.0)
    curves = recorded.curves(by="epochs")
    assert list(curves["cost"]) == [30.0, 60.0] * 2
    assert set(curves["mean"]) == {0.75}


@pytest.mark.parametrize("name", ["curves", "pareto", "tau", "confusion-grid"])
def test_a_figure_is_drawn_new_or_on_axes_that_are_there(recorded: Outcome | RecordedStore, name: str) -> None:
    figure = recorded.figure(name)
    assert isinstance(figure, Figure)
    mine = Figure()
    left, right = mine.subplots(1, 2)
    assert recorded.figure(name, ax=right) is mine
    assert (left.has_data(), right.has_data()) == (False, True)
    assert right.get_xlabel() == figure.axes[0].get_xlabel()


def test_every_name_that_is_listed_is_a_figure(outcome: Outcome) -> None:
    names = outcome.figures()
    assert {name.partition("-0")[0] for name in names} >= {"curves", "pareto", "tau", "confusion"}
    assert all(outcome.figure(name).axes for name in names)


def test_a_figure_is_as_wide_and_in_the_style_that_is_asked_for(outcome: Outcome, tmp_path: Path) -> None:
    style = tmp_path / "mine.mplstyle"
    style.write_text("axes.facecolor: yellow\n", encoding="utf-8")
    figure = outcome.figure("curves", width="page", style=style)
    assert (figure.get_figwidth(), figure.axes[0].get_facecolor()) == (7.0, matplotlib.colors.to_rgba("yellow"))
    assert outcome.figure("curves", width=4.5).get_figwidth() == 4.5
    assert outcome.figure("curves").get_figwidth() == COLUMN
    assert matplotlib.rcParams["axes.facecolor"] == "white"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "curvs"}, "unknown figure 'curvs'; did you mean 'curves'?"),
        ({"name": "logits"}, "there is no figure 'logits'"),
        ({"by": "jules"}, "unknown currency 'jules'"),
        ({"width": "wide"}, "--width is column"),
        ({"style": "no-such-style"}, "--style takes a style file"),
    ],
)
def test_what_is_no_figure_is_refused_in_one_line(outcome: Outcome, given: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        outcome.figure(**given)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["html", "pdf", "md", "tex", "csv", "json"])
def test_a_report_is_of_the_form_that_its_name_ends_with(outcome: Outcome, tmp_path: Path, kind: str) -> None:
    file = outcome.report(tmp_path / "new" / f"report.{kind}")
    assert file == tmp_path / "new" / f"report.{kind}"
    starts = {"html": b"<!doctype", "pdf": b"%PDF", "md": b"**digits", "tex": b"\\begin{table", "json": b"[["}
    if kind == "csv":
        assert list(pd.read_csv(file)["label"]) == ["grid", "stochastic"]
    else:
        assert file.read_bytes().startswith(starts[kind])


def test_a_report_of_another_kind_or_in_a_place_that_is_none_is_refused(outcome: Outcome, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown kind of report: '\.xls'"):
        outcome.report(tmp_path / "report.xls")
    (tmp_path / "file").touch()
    for kind in ("html", "md"):
        with pytest.raises(InputError, match="cannot be written"):
            outcome.report(tmp_path / "file" / f"report.{kind}")


def test_they_show_themselves_in_a_line_and_in_a_notebook_as_tables(recorded: Outcome | RecordedStore) -> None:
    assert len(repr(recorded)) < 300
    assert "\n" not in repr(recorded)
    html = recorded._repr_html_()
    assert html.count("<table>") == 2  # costs and verdicts
    assert "stochastic" in html


def test_an_outcome_says_what_was_run_and_where_it_is(outcome: Outcome) -> None:
    assert repr(outcome) == (
        f"Outcome(compare of grid, stochastic on digits: 4 runs completed; study s1, store {outcome.store.location})"
    )


def test_a_store_without_runs_says_so(tmp_path: Path) -> None:
    store = create_store(tmp_path / "runs")
    with pytest.raises(StoreError, match="there are no runs"):
        store.ranking()
    assert "Store(" in store._repr_html_()


def test_the_report_of_a_store_has_frames_texts_and_files(outcome: Outcome, tmp_path: Path) -> None:
    report = tune_kd.report(outcome.store.location, tex=tmp_path / "tex", svg=tmp_path / "svg", width="column")
    assert list(report.frame()["label"]) == ["grid", "stochastic"]
    assert len(json.loads(report.text("json"))) == 1
    assert [file.name for file in (tmp_path / "tex").iterdir()] == ["ranking-0.tex"]
    assert set(report.files) == {tmp_path / "tex", tmp_path / "svg"}
    caption = (tmp_path / "tex" / "ranking-0.tex").read_text(encoding="utf-8")
    assert "over n = 2 replicates" in caption
    assert "95 \\% Student t interval over n = 2 pairs" in caption


def test_progress_is_a_display_or_a_word_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Progress()
    assert display(mine) is mine
    assert [type(display(asked)) for asked in (None, False)] == [Progress, Progress]
    monkeypatch.setitem(os.environ, "TERM", "dumb")
    assert isinstance(display(True), LineProgress)
    with pytest.raises(InputError, match="progress is True, False, None or a Progress"):
        tune_kd.run("fixed", progress="yes")
