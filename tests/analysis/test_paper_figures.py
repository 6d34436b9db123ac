"""The paper's figures as numbers: inference by network, accuracy by batch size and against training CO2e."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from synthetic import make_frames, run, trial

from analysis.paper import figure_tables
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records


def scenario(student: str, **recipe: int) -> str:
    return json.dumps({"teacher": "resnet18", "student": student, "recipe": {"epochs": 100, **recipe}})


def records_of(runs: list[dict[str, object]], trials: list[dict[str, object]]) -> Records:
    frames = pd.DataFrame(runs), pd.DataFrame(trials)
    empty = pd.DataFrame()
    return Records(runs=frames[0], trials=frames[1], reports=empty, nodes=empty, outcomes=run_outcomes(*frames))


def test_inference_is_a_mean_over_the_tested_trials_of_a_network_per_thousand_images() -> None:
    runs = [
        run("a", "student", scenario_json=scenario("mobilenetv2")),
        run("b", "student", scenario_json=scenario("resnet18")),
    ]
    confusion = [[100, 100], [50, 250]]  # 500 test images
    first = {"confusion": confusion, "inference_s": 1.0, "inference_energy_j": 10.0, "inference_co2e_g": 0.1}
    second = {**first, "inference_s": 2.0}
    untested = {"confusion": None, "inference_s": None}
    unmetered = {**first, "inference_energy_j": None, "inference_co2e_g": None}
    trials = [
        trial("a", 0, 0.9, 0.9, **first),
        trial("a", 1, 0.9, 0.9, **second),
        trial("a", 2, 0.9, None, **untested),
        trial("b", 0, 0.9, 0.9, **unmetered),
    ]
    found = figure_tables.inference(pd.DataFrame(runs), pd.DataFrame(trials)).set_index("network")
    assert dict(found["role"]) == {"mobilenetv2": "student", "resnet18": "teacher"}
    assert dict(found["n"]) == {"mobilenetv2": 2, "resnet18": 1}
    assert found.loc["mobilenetv2", ["inference_s", "inference_energy_j", "inference_co2e_g"]].tolist() == [3, 20, 0.2]
    assert found.loc["resnet18", "inference_s"] == 2
    assert np.isnan(found.loc["resnet18", "inference_energy_j"]), "not measured is not zero"


def test_score_by_batch_size_is_a_mean_over_replicates_in_the_order_of_the_sizes() -> None:
    runs, trials = [], []
    for size, accuracies in ((128, (0.8, 0.9)), (32, (0.5, 0.7))):
        for replicate, accuracy in enumerate(accuracies):
            name = f"{size}-{replicate}"
            settled = scenario("mobilenetv2", batch_size=size)
            runs.append(run(name, "stochastic", replicate, scenario_json=settled))
            trials.append(trial(name, 0, 0.9, accuracy))
    records = records_of(runs, trials)
    found = figure_tables.accuracy_by_batch(records.outcomes, records.runs)
    assert found["batch_size"].tolist() == [32, 128]
    assert found["accuracy"].tolist() == pytest.approx([0.6, 0.85])
    assert found["spread"].tolist() == pytest.approx([0.2 / 2**0.5, 0.1 / 2**0.5])
    (table,) = figure_tables.fig3b(records)
    assert table.rows[0] == ["32", "stochastic", "60.00 ±14.14", "1.000"]


def test_figure_1_has_every_network_and_method_with_its_epochs() -> None:
    runs = [
        run("a", "student", scenario_json=scenario("mobilenetv2")),
        run("b", "grid", scenario_json=scenario("mobilenetv2")),
    ]
    costs = {"confusion": [[5, 0], [0, 5]], "inference_s": 1.0, "inference_energy_j": 1.0, "inference_co2e_g": 1.0}
    trials = [trial("a", 0, 0.9, 0.8, **costs), trial("b", 0, 0.9, 0.7, **costs), trial("b", 1, 0.95, 0.9, **costs)]
    inference, reached = figure_tables.fig1(records_of(runs, trials))
    assert inference.rows == [["mobilenetv2", "student", "3", "100", "100", "100"]]
    assert [row[:4] for row in reached.rows] == [
        ["mobilenetv2", "100", "student alone", "80.00"],
        ["mobilenetv2", "100", "tuned", "90.00"],
    ]
    assert reached.data["co2e_g"].tolist() == [1.0, 2.0], "all trials of a run are charged"


def test_figure_1a_has_the_teachers_own_training_and_not_the_network_that_was_only_timed() -> None:
    settled = json.dumps({**json.loads(scenario("mobilenetv2")), "teacher_recipe": {"epochs": 60}})
    teacher = {"teacher_id": "t", "teacher_test_score": 0.95, "teacher_co2e_g": 7.0}
    runs = [
        run("a", "student", scenario_json=settled, study_id="s-mobilenetv2", **teacher),
        run("b", "stochastic", scenario_json=settled, study_id="s-mobilenetv2", **teacher),
        run("c", "student", scenario_json=scenario("resnet18", epochs=1), study_id="s-resnet18-timed", **teacher),
    ]
    trials = [trial(name, 0, 0.9, 0.8, confusion=[[5, 0], [0, 5]], inference_s=1.0) for name in "abc"]
    inference, reached = figure_tables.fig1(records_of(runs, trials))
    assert [row[0] for row in inference.rows] == ["mobilenetv2", "resnet18"], "its inference is what it was timed for"
    assert [row[:4] for row in reached.rows] == [
        ["mobilenetv2", "100", "student alone", "80.00"],
        ["mobilenetv2", "100", "stochastic", "80.00"],
        ["resnet18", "60", "teacher", "95.00"],
    ]
    assert reached.data["co2e_g"].tolist() == [1, 1, 7]
    assert any("a teacher's row" in note for note in reached.notes)


def test_a_teacher_whose_training_was_not_measured_has_no_co2e() -> None:
    teacher = {"teacher_id": "t", "teacher_test_score": 0.95, "teacher_co2e_g": None}
    runs = [run("a", "student", scenario_json=scenario("mobilenetv2"), **teacher)]
    reached = figure_tables.training(records_of(runs, [trial("a", 0, 0.9, 0.8)]).outcomes, pd.DataFrame(runs))
    assert reached["method"].tolist() == ["student alone", "teacher"]
    assert np.isnan(reached["co2e_g"].iloc[1])


def test_figure_3a_has_a_row_for_each_temperature_of_the_grid() -> None:
    frames = make_frames(replicates=2)
    outcomes = run_outcomes(frames.runs, frames.trials, frames.nodes)
    (table,) = figure_tables.fig3a(Records(**frames._asdict(), outcomes=outcomes))
    assert [float(row[0]) for row in table.rows] == list(range(2, 21))
