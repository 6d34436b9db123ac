"""Quantized students in the tables: beside the paper's Table 8, beside their own float32, and in no other table."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from synthetic import run, trial

from analysis.paper import figure_tables
from analysis.paper.quantized import int8_beside_float32, int8_frame
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records
from analysis.summary import comparison_title
from analysis.tables import paper_frame, table8, tables

PLAIN = {"data": "cifar10", "teacher": "resnet18", "student": "mobilenetv2", "loss": "hkd", "recipe": {"epochs": 100}}
INT8 = {**PLAIN, "quantization": {"bits": 8}}
TESTED = {"confusion": [[100, 100], [50, 250]], "inference_s": 1.0, "inference_energy_j": 10.0}  # 500 test images
QUANTIZED = {
    **TESTED,
    "inference_s": 0.5,
    "inference_energy_j": None,
    "inference_runtime": "onnxruntime 1.0",
    "weight_bytes": 2_000_000,
    "float_test_score": 0.9,
    "float_weight_bytes": 7_000_000,
    "float_inference_s": 2.0,
    "float_inference_energy_j": 20.0,
}


@pytest.fixture
def records() -> Records:
    runs, trials = [], []
    for study, scenario, tested, policies in (
        ("s-int8", INT8, QUANTIZED, ("stochastic", "student")),
        ("s", PLAIN, TESTED, ("stochastic", "grid", "student")),
    ):
        for policy in policies:
            name = f"{study}-{policy}"
            about: dict[str, Any] = {"study_id": study, "scenario": "cifar10", "scenario_json": json.dumps(scenario)}
            runs.append(run(name, policy, metric="accuracy", **about))
            trials.append(trial(name, 0, 0.8, 0.85, **tested))
    frames, nothing = (pd.DataFrame(runs), pd.DataFrame(trials)), pd.DataFrame()
    return Records(runs=frames[0], trials=frames[1], reports=nothing, nodes=nothing, outcomes=run_outcomes(*frames))


def test_table_8_has_the_papers_rows_in_its_order_and_ours_below(records: Records) -> None:
    table = table8(paper_frame(records.outcomes, records.runs, records.trials))
    named = ["no compression", "quantization", "tuned", "stochastic", "stochastic, quantized"]
    assert [row[2] for row in table.rows] == named
    assert table.data["paper_score"].tolist()[:4] == [90.52, 89.97, 91.62, 91.78]
    assert table.data["paper_score"].isna().tolist() == [False] * 4 + [True]
    assert table.data["paper_energy_kwh"].tolist()[:4] == [0.16, 0.40, 3.99, 0.21]


def test_other_tables_have_no_quantized_student(records: Records) -> None:
    found = {table.title.split(":")[0]: table for table in tables(records, "energy")}
    assert "Table 8 layout" in found
    for title, table in found.items():
        methods = {cell for row in table.rows for cell in row if "quantiz" in cell}
        assert (methods != set()) == (title in ("Table 8 layout", "float32 beside int8")), title


def test_int8_stands_beside_its_own_float32_per_thousand_images(records: Records) -> None:
    found = int8_frame(records.runs, records.trials).set_index("method")
    assert list(found.index) == ["quantization-aware training", "stochastic, quantized"]
    assert (found["n"] == 1).all()
    assert (found["test_score"] == 0.85).all()
    assert (found["float_test_score"] == 0.9).all()
    assert (found["inference_s"] == 1).all()
    assert (found["float_inference_s"] == 4).all()
    assert (found["float_inference_energy_j"] == 40).all()
    assert found["inference_energy_j"].isna().all(), "not measured is not zero"
    [first, _] = int8_beside_float32(records).rows
    shown = ["90.00", "85.00", "7.00", "2.00", "4.00", "1.00", "40.0", "—"]
    assert first == ["cifar10", "mobilenetv2", "quantization-aware training", *shown]
    assert any("onnxruntime 1.0" in note for note in int8_beside_float32(records).notes)


def test_a_comparison_of_quantized_students_says_so(records: Records) -> None:
    titles = [comparison_title(row) for _, row in records.outcomes.drop_duplicates("comparison").iterrows()]
    assert sorted("int8" in title.split(" · ") for title in titles) == [False, True]


def test_inference_of_figure_1_is_in_float32(records: Records) -> None:
    [network] = figure_tables.inference(records.runs, records.trials).to_dict("records")
    assert (network["n"], network["inference_s"]) == (3, 2)
