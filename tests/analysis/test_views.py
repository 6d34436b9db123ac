"""What figures and the paper's tables show, and that every figure can be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from synthetic import PAPER, Frames, make_frames, run, trial

from analysis import charts, plots, tables, views
from analysis.outcomes import run_outcomes
from analysis.script import Records
from tune_kd.errors import InputError


def records_of(frames: Frames) -> Records:
    return Records(**frames._asdict(), outcomes=run_outcomes(frames.runs, frames.trials, frames.nodes))


@pytest.fixture(scope="module")
def records() -> Records:
    return records_of(make_frames(replicates=3))


def test_accuracy_by_tau_averages_a_replicates_trials_first() -> None:
    runs = pd.DataFrame([run("a", "random", 0), run("b", "random", 1), run("c", "stochastic", 0)])
    trials = [trial("a", 0, 0.9, 0.6, tau=4.0), trial("a", 1, 0.9, 0.8, tau=4.0), trial("b", 0, 0.9, 0.9, tau=4.0)]
    frame = pd.DataFrame([*trials, trial("c", 0, 0.9, 0.1, tau=None), trial("b", 1, 0.9, 0.5, tau=9.0)])
    by_tau = views.accuracy_by_tau(run_outcomes(runs, frame), frame)
    assert list(by_tau["tau"]) == [4.0, 9.0]
    assert list(by_tau["mean"]) == pytest.approx([0.8, 0.5])
    assert list(by_tau["n"]) == [2, 1]


def test_the_pareto_front_by_hand() -> None:
    cost, accuracy = np.array([1, 2, 2, 3, np.nan, 1.0]), np.array([0.5, 0.6, 0.7, 0.7, 0.9, 0.5])
    assert views.pareto(cost, accuracy).tolist() == [True, False, True, False, False, True]


def test_the_components_of_energy_add_up_to_it(records: Records) -> None:
    parts = views.parts_of(records.outcomes, records.trials, views.COMPONENTS).set_index("label")
    whole = records.outcomes.groupby("label")["energy_j"].mean()
    measured = parts.drop(columns="comparison").sum(axis=1)
    assert parts["energy_gpu_j"].isna().all()
    pd.testing.assert_series_equal(measured.sort_index(), whole.sort_index(), check_names=False)


def test_confusion_matrices_are_the_incumbents_summed_over_replicates(records: Records) -> None:
    found = views.confusions(records.outcomes, records.trials)
    assert set(found) == {(0, label) for label in records.runs["policy"]}
    np.testing.assert_array_equal(found[0, "grid"], 3 * np.array([[45, 5], [4, 46]]))


def test_what_was_modelled_says_so(records: Records) -> None:
    rows = views.measured(records.outcomes, records.trials, records.nodes)
    methods = set(zip(rows["what"], rows["method"], strict=True))
    assert ("CPU (nodes)", "model") in methods
    assert ("GPU (nodes)", "not measured") in methods
    assert ("energy (attempts)", "model") in methods


def test_a_policy_looks_the_same_in_every_chart_and_no_two_alike(records: Records) -> None:
    looks = charts.look([str(i) for i in range(8)]).values()
    assert len({(look["colour"], look["dash"], look["marker"]) for look in looks}) == 8
    for chart in (charts.curve_chart(records, 0), charts.pareto_chart(records, 0)):
        assert chart is not None
        found = {series["label"]: series["colour"] for series in chart["series"]}
        assert found == {label: look["colour"] for label, look in charts.look(list(PAPER)).items()}


@pytest.mark.parametrize("form", plots.FORMS)
def test_every_figure_is_written(records: Records, tmp_path: Path, form: str) -> None:
    paths = plots.save_figures(records, tmp_path / "figures", form=form)
    assert {path.stem.split("-")[0] for path in paths} == {"curves", "tau", "pareto", "energy", "time", "confusion"}
    starts = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}
    assert all(path.read_bytes().startswith(starts[form]) for path in paths)


def test_an_unknown_figure_format_is_refused(records: Records, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown figure format 'gif'"):
        plots.save_figures(records, tmp_path, form="gif")


def test_all_figures_make_one_pdf(records: Records, tmp_path: Path) -> None:
    pages = plots.save_pdf(records, tmp_path / "all.pdf")
    assert (tmp_path / "all.pdf").read_bytes().count(b"/Type /Page ") == pages == 10


def test_a_curve_is_drawn_as_steps_with_one_line_a_policy(records: Records) -> None:
    ax, chart = Figure().add_subplot(), charts.curve_chart(records, 0)
    assert chart is not None
    plots.plot_chart(chart, "energy", ax)
    assert [line.get_label() for line in ax.get_lines()] == list(PAPER)
    assert {line.get_drawstyle() for line in ax.get_lines()} == {"steps-post"}
    assert ax.get_xscale() == "log"


def paper_records(**changes: Any) -> Records:
    scenario = '{"teacher": "ResNet18", "student": "mobilenet_v2", "loss": "hkd", "recipe": {"epochs": 10}}'
    named: dict[str, Any] = {
        "scenario": "cifar10-paper",
        "scenario_json": scenario,
        "teacher_test_accuracy": 0.95,
        "teacher_id": "t",
    }
    named |= {"teacher_energy_j": 3.6e6, **changes}
    runs = pd.DataFrame([run("a", "grid", **named), run("b", "stochastic", **named), run("c", "tpe", **named)])
    rows = [trial("a", i, 0.9, 0.91, energy_j=3.6e6, flops_paper=6e15) for i in range(20)]
    rows += [trial(name, 0, 0.9, 0.9, energy_j=3.6e6, flops_paper=6e15) for name in "bc"]
    trials = pd.DataFrame(rows)
    nothing = pd.DataFrame()
    return Records(runs=runs, trials=trials, reports=nothing, nodes=nothing, outcomes=run_outcomes(runs, trials))


def test_table_1_puts_the_papers_numbers_beside_ours() -> None:
    records = paper_records()
    frame = tables.paper_frame(records.outcomes, records.runs, records.trials)
    rows = {row[0]: row for row in tables.table1(frame)[0].rows}
    assert rows["tuned"] == ["tuned", "91.00", "91.78 ±0.14", "120.0", "128.30", "20.00", "3.9900", "20.00", "1173.4"]
    assert rows["stochastic"][5:7] == ["1.000", "0.21000"]
    assert rows["teacher"][:3] == ["teacher", "95.00", "95.04"]
    assert rows["tpe"][2] == "—"


def test_other_networks_or_data_get_no_number_of_the_paper() -> None:
    for changes in ({"scenario": "flowers"}, {"scenario_json": '{"teacher": "wrn-40-2", "student": "wrn-16-1"}'}):
        records = paper_records(**changes)
        frame = tables.paper_frame(records.outcomes, records.runs, records.trials)
        assert frame["paper_accuracy"].isna().all()


@pytest.mark.parametrize(
    ("text", "dataset"),
    [("cifar100", "cifar100"), ("my CIFAR-10 part", "cifar10"), ("tiny-imagenet-20", "tinyimagenet"), ("digits", None)],
)
def test_datasets_are_known_by_name(text: str, dataset: str | None) -> None:
    assert tables.dataset_of(text) == dataset


def test_the_tables_say_what_protocol_ours_was(records: Records) -> None:
    shown = tables.tables(paper_records(), "energy")
    assert [table.title.split(":")[0] for table in shown] == [f"Table {n} layout" for n in (1, 4, 5, 7)]
    assert "ours: cifar10: 10 epochs on all training images" in shown[0].notes
    assert len(tables.tables(records, "energy")[2].rows) == 5
