"""What figures and the paper's tables show, and that every figure can be drawn."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from synthetic import PAPER, Frames, Recipe, make_frames, run, trial

from analysis import tables
from analysis.figures import charts, drawings, files, plots
from analysis.figures import data as views
from analysis.figures.marks import marks_of
from analysis.pages import provenance
from analysis.paper import datasets
from analysis.runs.accounting import CURRENCIES
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records
from tune_kd.errors import InputError


def records_of(frames: Frames) -> Records:
    return Records(**frames._asdict(), outcomes=run_outcomes(frames.runs, frames.trials, frames.nodes))


@pytest.fixture(scope="module")
def records() -> Records:
    return records_of(make_frames(replicates=3))


def test_score_by_tau_averages_a_replicates_trials_first() -> None:
    runs = pd.DataFrame([run("a", "random", 0), run("b", "random", 1), run("c", "stochastic", 0)])
    trials = [trial("a", 0, 0.9, 0.6, tau=4.0), trial("a", 1, 0.9, 0.8, tau=4.0), trial("b", 0, 0.9, 0.9, tau=4.0)]
    frame = pd.DataFrame([*trials, trial("c", 0, 0.9, 0.1, tau=None), trial("b", 1, 0.9, 0.5, tau=9.0)])
    by_tau = views.accuracy_by(run_outcomes(runs, frame), frame, "tau")
    assert list(by_tau["tau"]) == [4.0, 9.0]
    assert list(by_tau["mean"]) == pytest.approx([0.8, 0.5])
    assert list(by_tau["n"]) == [2, 1]


def test_the_pareto_front_by_hand() -> None:
    cost, accuracy = np.array([1, 2, 2, 3, np.nan, 1.0]), np.array([0.5, 0.6, 0.7, 0.7, 0.9, 0.5])
    assert views.pareto(cost, accuracy).tolist() == [True, False, True, False, False, True]


@pytest.mark.parametrize("currency", views.PARTS)
def test_the_parts_of_a_cost_add_up_to_it_and_what_is_shared_is_one_of_them(currency: str) -> None:
    frames = make_frames(replicates=3)
    shared = {"shared_energy_j": 100.0, "shared_flops": 7e13, "shared_s": 3.0, "shared_co2e_g": 0.01}
    frames = frames._replace(runs=frames.runs.assign(**shared))
    frames = frames._replace(trials=frames.trials.assign(energy_idle_j=50.0, energy_j=frames.trials.energy_j + 50.0))
    records = records_of(frames)
    parts = views.parts_of(records.outcomes, records.runs, records.trials, currency).set_index("label")
    whole = records.outcomes.groupby("label")[CURRENCIES[currency].trial].mean()
    summed = parts.drop(columns="comparison").sum(axis=1)
    assert (parts[views.SHARED] == shared[str(CURRENCIES[currency].shared)]).all()
    pd.testing.assert_series_equal(summed.sort_index(), whole.sort_index(), check_names=False)


def test_a_part_that_nobody_measured_and_a_cost_that_is_not_known_are_missing() -> None:
    frames = make_frames(policies={"grid": Recipe(trials=2), "stochastic": Recipe()}, replicates=2)
    frames.trials.loc[0, ["energy_j", "energy_cpu_j", "energy_ram_j"]] = None
    records = records_of(frames)
    parts = views.parts_of(records.outcomes, records.runs, records.trials, "energy").set_index("label")
    assert parts["GPU"].isna().all()
    assert parts.loc["grid"].drop("comparison").isna().all()
    assert parts.loc["stochastic", ["CPU", "RAM"]].notna().all()


def test_the_teachers_time_is_not_the_students_too(records: Records) -> None:
    parts = views.parts_of(records.outcomes, records.runs, records.trials, "time").set_index("label")
    # Of 4 epochs: 8 s of training each, of which the teacher takes a half.
    assert parts.loc["stochastic", ["student", "teacher", "validation", "other"]].tolist() == [30.0, 2.0, 4.0, 4.0]


def test_what_a_policy_spends_and_learns_itself_is_shown() -> None:
    frames = make_frames(policies={"grid": Recipe(), "ctkd": Recipe()}, replicates=2)
    own = frames.trials["run_id"].str.contains("ctkd")
    frames = frames._replace(trials=frames.trials.assign(flops_policy=1e13 * own, policy_parameters=1 * own))
    records = records_of(frames)
    assert provenance.learned_parameters(records.outcomes, records.trials) == {"ctkd": 1}
    chart = charts.parts_chart(records, 0, "flops")
    assert chart is not None
    rows = dict(chart["rows"])
    assert chart["parts"][-1] == "policy"
    assert (rows["grid"][-1], rows["ctkd"][-1] > 0) == (0.0, True)


def test_a_teacher_is_described_and_not_ranked(records: Records) -> None:
    [line] = provenance.teacher_notes(records.runs)
    assert line == "teacher: test 98.0 %, not ranked; its training, 2.00 Wh, 200 TFLOPs, is in no policy's cost"
    assert provenance.teacher_notes(records.runs.assign(teacher_id=None)) == []
    assert "teacher" not in set(records.outcomes["label"])


def test_a_teacher_at_chance_is_said_to_be() -> None:
    frames = make_frames(policies={"grid": Recipe(trials=2)}, replicates=2)
    runs = frames.runs.assign(teacher_val_score=0.104, val_prevalence=0.1, val_images=500)
    assert provenance.teacher_notes(runs)[1:] == [
        "teacher: validation 10.4 %, the largest class is 10.0 %: no better than always naming it, "
        "as far as 500 images tell"
    ]


def test_confusion_matrices_are_the_incumbents_summed_over_replicates(records: Records) -> None:
    found = views.confusions(records.outcomes, records.trials)
    assert set(found) == {(0, label) for label in records.runs["policy"]}
    np.testing.assert_array_equal(found[0, "grid"], 3 * np.array([[45, 5], [4, 46]]))


def test_what_was_modelled_says_so(records: Records) -> None:
    rows = provenance.measured(records.outcomes, records.trials, records.nodes)
    methods = set(zip(rows["what"], rows["method"], strict=True))
    assert ("CPU (nodes)", "model") in methods
    assert ("GPU (nodes)", "not measured") in methods
    assert ("energy (attempts)", "model") in methods


def test_a_policy_looks_the_same_in_every_chart(records: Records) -> None:
    for chart in (charts.curve_chart(records, 0), charts.pareto_chart(records, 0)):
        assert chart is not None
        found = {series["label"]: series["colour"] for series in chart["series"]}
        assert found == {label: look["colour"] for label, look in marks_of(records).items()}


@pytest.mark.parametrize("form", files.FORMS)
def test_every_figure_is_written(records: Records, tmp_path: Path, form: str) -> None:
    paths = files.save_figures(records, tmp_path / "figures", form=form)
    kinds = {"curves", "tau", "target", "pareto", "energy", "flops", "time", "confusion"}
    assert {path.stem.split("-")[0] for path in paths} == kinds
    starts = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}
    assert all(path.read_bytes().startswith(starts[form]) for path in paths)


def test_an_unknown_figure_format_is_refused(records: Records, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown figure format 'gif'"):
        files.save_figures(records, tmp_path, form="gif")


def test_all_figures_make_one_pdf(records: Records, tmp_path: Path) -> None:
    pages = files.save_pdf(records, tmp_path / "new" / "all.pdf")
    assert (tmp_path / "new" / "all.pdf").read_bytes().count(b"/Type /Page ") == pages == 12


@pytest.mark.parametrize("form", files.FORMS)
def test_the_same_records_give_the_same_bytes_whatever_the_users_own_style(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = records_of(make_frames(policies={"grid": Recipe(trials=2, tau=True)}, replicates=2))
    first = [path.read_bytes() for path in files.save_figures(records, tmp_path / "a", form=form)]
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12345")
    again = [path.read_bytes() for path in files.save_figures(records, tmp_path / "b", form=form)]
    assert first == again
    assert matplotlib.rcParams["font.size"] == 30


def test_figures_need_neither_pyplot_nor_a_display(tmp_path: Path) -> None:
    """pyplot keeps every figure it makes, and looks for a display."""
    code = "import sys; from analysis.figures.shown import new_figure"
    code += "; figure = new_figure(3, 2); figure.add_subplot()"
    code += "; figure.savefig(sys.argv[1]); print('matplotlib.pyplot' in sys.modules)"
    command = [sys.executable, "-c", code, str(tmp_path / "a.pdf")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"


def scenarios_records(scenarios: int, policies: int) -> Records:
    recipes = {f"policy-{i}": Recipe(shift=0.004 * i, tau=True, trials=3) for i in range(policies)}
    parts = [
        make_frames(policies=recipes, replicates=2, scenario=f"data-{seed}", seed=seed) for seed in range(scenarios)
    ]
    return records_of(Frames(*(pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True))))


@pytest.mark.parametrize(("scenarios", "policies"), [(3, 2), (8, 4)])
def test_several_scenarios_have_a_figure_of_ranks_and_one_of_profiles(scenarios: int, policies: int) -> None:
    found = {
        name: drawing.figure() for name, drawing in drawings.across_scenarios(scenarios_records(scenarios, policies))
    }
    texts = [text.get_text() for text in found["ranks"].axes[0].texts]
    # From 8 scenarios on it is a critical-difference diagram, which writes its labels itself.
    assert any(text.startswith(f"policy-{policies - 1} 1.0") for text in texts) == (scenarios >= 8)
    assert ("profile" in found) == (scenarios >= 8)
    if scenarios >= 8:
        assert len(found["profile"].axes[0].get_lines()) == policies


def test_the_figures_of_several_scenarios_are_those_of_each_and_last_those_across_them() -> None:
    names = [name for name, _ in drawings.figures(scenarios_records(2, 2))]
    assert {name.rpartition("-")[2] for name in names if name.startswith("curves")} == {"0", "1"}
    assert names[-1] == "ranks"


def test_many_policies_have_a_legend_that_leaves_the_curves_their_room() -> None:
    names = [f"a-rather-long-policy:option={i}" for i in range(18)]
    records = records_of(make_frames(policies={name: Recipe(trials=2, tau=True) for name in names}, replicates=2))
    for name, drawing in drawings.figures(records):
        if name.startswith(("curves", "pareto")):
            figure = drawing.figure()
            figure.draw_without_rendering()
            [legend] = figure.legends
            assert [text.get_text() for text in legend.get_texts()] == names
            box, axes = legend.get_window_extent(), figure.axes[0].get_window_extent()
            assert box.x0 >= 0
            assert box.x1 <= figure.bbox.x1
            assert box.y1 < axes.y0
            assert axes.height > figure.dpi * 1.5


def test_a_policy_looks_the_same_in_every_comparison_of_a_store() -> None:
    one = make_frames(policies={name: Recipe(trials=2) for name in ("grid", "tpe", "stochastic")}, replicates=2)
    other = make_frames(policies={name: Recipe(trials=2) for name in ("stochastic", "grid")}, scenario="other", seed=1)
    records = records_of(Frames(*(pd.concat(tables, ignore_index=True) for tables in zip(one, other, strict=True))))
    seen: dict[str, set[tuple[str, ...]]] = {}
    for comparison in (0, 1):
        for part in (
            records,
            dataclasses.replace(records, outcomes=records.outcomes.query("comparison == @comparison")),
        ):
            for chart in (charts.curve_chart(part, comparison), charts.pareto_chart(part, comparison)):
                assert chart is not None
                for series in chart["series"]:
                    seen.setdefault(series["label"], set()).add((series["colour"], series["dash"], series["marker"]))
    assert {label: len(looks) for label, looks in seen.items()} == {"grid": 1, "tpe": 1, "stochastic": 1}
    assert len(set.union(*seen.values())) == 3


def test_axes_say_what_they_show(records: Records) -> None:
    said = {}
    for name, drawing in drawings.figures(records):
        [ax] = drawing.figure().axes
        said[name] = ax.get_xlabel(), ax.get_ylabel().replace("\n", " ")
    assert said["curves-0"] == ("energy spent, Wh", "test accuracy of the incumbent, %")
    assert said["pareto-0"] == ("energy spent, Wh", "test accuracy, %")
    assert said["tau-0"] == ("temperature τ", "test accuracy, %")
    assert said["energy-0"][0] == "energy spent, Wh"
    assert re.fullmatch(r"runs still below [0-9.]+ % validation accuracy, %", said["target-0"][1])


def test_bars_of_energy_end_in_the_interval_of_the_whole(records: Records) -> None:
    chart = charts.parts_chart(records, 0, "energy")
    assert chart is not None
    totals = dict(zip((label for label, _ in chart["rows"]), chart["totals"], strict=True))
    joules = records.outcomes[records.outcomes["label"] == "grid"]["energy_j"].to_numpy(float)
    half = scipy.stats.t.ppf(0.975, len(joules) - 1) * joules.std(ddof=1) / math.sqrt(len(joules))
    assert totals["grid"] == pytest.approx(
        [value / 3600 for value in (joules.mean(), joules.mean() - half, joules.mean() + half)]
    )
    parts = dict(chart["rows"])["grid"]
    assert totals["grid"][0] == pytest.approx(sum(value for value in parts if not math.isnan(value)))
    ax = Figure().add_subplot()
    plots.plot_parts(chart, ax)
    [bars] = [one for one in ax.containers if isinstance(one, ErrorbarContainer)]
    assert bars.has_xerr


@pytest.mark.parametrize(("width", "points"), [("column", 252), ("page", 504), ("4", 288)])
def test_a_figure_on_paper_is_exactly_as_wide_as_is_asked(tmp_path: Path, width: str, points: int) -> None:
    records = records_of(make_frames(policies={f"p{i}": Recipe(trials=2) for i in range(16)}, replicates=2))
    files.save_pdf(records, tmp_path / "all.pdf", width=width)
    boxes = re.findall(rb"/MediaBox \[ 0 0 ([0-9.]+) ", (tmp_path / "all.pdf").read_bytes())
    assert {round(float(box)) for box in boxes} == {points}


def test_a_curve_is_drawn_as_steps_with_one_line_a_policy(records: Records) -> None:
    ax, chart = Figure().add_subplot(), charts.curve_chart(records, 0)
    assert chart is not None
    plots.plot_chart(chart, "energy", ax)
    assert sorted(ax.get_legend_handles_labels()[1]) == sorted(PAPER)
    curves = [line for line in ax.get_lines() if line.get_label() in PAPER and len(line.get_xdata())]
    # Those of one trial are a point with its interval.
    assert [line.get_label() for line in curves] == ["grid", "random", "tpe"]
    assert {line.get_drawstyle() for line in curves} == {"steps-post"}
    assert ax.get_xscale() == "log"


def paper_records(**changes: Any) -> Records:
    scenario = '{"teacher": "ResNet18", "student": "mobilenet_v2", "loss": "hkd", "recipe": {"epochs": 10}}'
    named: dict[str, Any] = {
        "scenario": "cifar10",
        "scenario_json": scenario,
        "teacher_test_score": 0.95,
        "teacher_id": "t",
    }
    named |= {"teacher_energy_j": 3.6e6, **changes}
    runs = pd.DataFrame([run("a", "grid", **named), run("b", "stochastic", **named), run("c", "tpe", **named)])
    runs = pd.concat([runs, pd.DataFrame([run("d", "student", **named)])], ignore_index=True)
    rows = [trial("a", i, 0.9, 0.91, energy_j=3.6e6, flops_paper=6e15) for i in range(20)]
    rows += [trial(name, 0, 0.9, 0.9, energy_j=3.6e6, flops_paper=6e15) for name in "bcd"]
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
    assert rows["student alone"][2] == "90.52"


def test_other_networks_or_data_get_no_number_of_the_paper() -> None:
    for changes in ({"scenario": "flowers"}, {"scenario_json": '{"teacher": "wrn-40-2", "student": "wrn-16-1"}'}):
        records = paper_records(**changes)
        frame = tables.paper_frame(records.outcomes, records.runs, records.trials)
        for table in tables.table1(frame):
            assert table.data["paper_score"].isna().all()
            assert "paper" not in table.headers, "no column without a number"
            assert any("here is none" in note for note in table.notes)


def test_a_table_with_energies_says_what_they_are_and_that_trainings_share_the_teachers_answers() -> None:
    for method, shared, words in (("model", None, {"power model"}), ("counter", 5e9, {"--no-share-teacher"})):
        records = paper_records(shared_flops=shared)
        trials = records.trials.assign(energy_method=method)
        frame = tables.paper_frame(run_outcomes(records.runs, trials), records.runs, trials)
        said = [note for note in tables.table4(frame).notes if note.startswith("ours: ")][1:]
        assert {word for word in ("power model", "--no-share-teacher") if word in " ".join(said)} == words
        assert not any("power model" in note for note in tables.table5(frame).notes), "it has no energies"


@pytest.mark.parametrize(
    ("scenario", "data", "dataset"),
    [
        ("cifar100", "cifar100", "cifar100"),
        ("cifar10", "/home/me/photos", "cifar10"),
        ("images", "/data/CIFAR-10", "cifar10"),
        ("images", "/data/cifar-100-python", "cifar100"),
        ("images", "/data/tiny-imagenet-200", "tiny-imagenet"),
        ("images", "/home/vocabulary/flowers", None),
        ("images", "/data/cifar10-lab/flowers", None),
        ("images", "/data/tiny-imagenet-20", None),
        ("cifar10", "digits", None),
        ("cifar10", "", "cifar10"),
        ("digits", "", None),
    ],
)
def test_datasets_are_known_by_their_whole_names(scenario: str, data: str, dataset: str | None) -> None:
    assert datasets.dataset_of(scenario, data) == dataset


def test_a_table_says_which_pixels_ours_were_where_they_are_not_the_papers() -> None:
    small = {"teacher": "resnet18", "student": "mobilenetv2", "loss": "hkd", "recipe": {"epochs": 10}, "image_size": 16}
    for size, note in ((16, "images of 16 × 16 pixels"), (32, "images")):
        shown = tables.tables(paper_records(scenario_json=json.dumps({**small, "image_size": size})), "energy")
        assert f"ours: cifar10: 10 epochs on all training {note}; 1 replicate" in shown[0].notes


def test_the_tables_say_what_protocol_ours_was(records: Records) -> None:
    shown = tables.tables(paper_records(), "energy")
    assert [table.title.split(":")[0] for table in shown] == [f"Table {n} layout" for n in (1, 4, 5, 6, 7)]
    assert "ours: cifar10: 10 epochs on all training images; 1 replicate" in shown[0].notes
    assert len(tables.tables(records, "energy")[2].rows) == 6, "five policies and the teacher"
