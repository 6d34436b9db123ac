"""Scores under the name of their metric, and the paper's Table 4 of images and of boxes in one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
from synthetic import run, trial

from analysis import curves, report, tables
from analysis.figures import by_value, charts
from analysis.pages.headline import headline
from analysis.runs.metric import at_start, in_percent, metric_of
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records

DETECTORS = {"teacher": "ssd300-vgg16", "student": "ssdlite-mobilenetv2", "recipe": {"epochs": 70}}
CLASSIFIERS = {"teacher": "resnet18", "student": "mobilenetv2", "recipe": {"epochs": 100}}
SCORES = {"student": 0.66, "grid": 0.6, "stochastic": 0.61}


def records_of(*parts: tuple[str, str, str | None]) -> Records:
    """A run of each policy for each (data set, loss, metric); the policies' test scores are ``SCORES``."""
    runs, trials = [], []
    for dataset, loss, metric in parts:
        words: Mapping[str, Any] = DETECTORS if dataset == "voc" else CLASSIFIERS
        settled = json.dumps({**words, "data": dataset, "loss": loss})
        teacher = {"teacher_id": dataset, "teacher_test_score": 0.7}
        for policy, score in SCORES.items():
            name = f"{dataset}-{loss}-{policy}"
            runs.append(run(name, policy, scenario=dataset, scenario_json=settled, metric=metric, **teacher))
            trials.append(trial(name, 0, score, score, flops_paper=6e15, tau=4.0))
    frames, nothing = (pd.DataFrame(runs), pd.DataFrame(trials)), pd.DataFrame()
    return Records(runs=frames[0], trials=frames[1], reports=nothing, nodes=nothing, outcomes=run_outcomes(*frames))


VOC = [("voc", loss, "mAP") for loss in ("hkd", "cmc-tau", "dml-tau")]


def test_a_metric_is_what_the_records_say_and_an_accuracy_where_older_ones_say_nothing() -> None:
    assert metric_of(pd.DataFrame({"metric": ["mAP", "mAP"]})) == "mAP"
    assert metric_of(pd.DataFrame({"metric": ["mAP", "accuracy"]})) == "score"
    assert metric_of(pd.DataFrame({"metric": [None]})) == metric_of(pd.DataFrame({"other": [1]})) == "accuracy"
    assert (in_percent("val", "accuracy"), in_percent("val", "mAP")) == ("val %", "val mAP %")
    assert (at_start("accuracy"), at_start("mAP")) == ("Accuracy", "mAP")
    assert set(records_of(("cifar10", "hkd", None)).outcomes["metric"]) == {"accuracy"}


def test_table_4_is_one_of_images_and_boxes_with_the_student_alone_on_voc() -> None:
    records = records_of(("cifar10", "hkd", None), *VOC)
    table = tables.table4(tables.paper_frame(records.outcomes, records.runs, records.trials))
    assert table.headers[3:5] == ["score %", "paper"]
    rows = {tuple(row[:3]): row[3:5] for row in table.rows}
    assert rows["cifar10", "hkd", "tuned"] == ["60.00", "91.78 ±0.14"]
    assert rows["voc", "hkd", "tuned"] == ["60.00", "65.45 ±0.07"]
    assert rows["voc", "hkd", "stochastic"] == ["61.00", "65.48 ±0.15"]
    assert rows["voc", "cmc-tau", "tuned"] == ["60.00", "64.87 ±0.13"]
    assert rows["voc", "dml-tau", "stochastic"] == ["61.00", "64.98 ±0.24"]
    assert rows["voc", "hkd", "student alone"] == ["66.00", "—"], "the paper has none"
    assert ("cifar10", "hkd", "student alone") not in rows, "that is in Table 1"
    assert any("paper: 70 or 100 epochs" in note for note in table.notes)
    assert "68.6 mAP (11 points) without a teacher" in table.notes[-1]
    assert "neither is a target" in table.notes[-1]


def test_other_detectors_get_no_number_of_the_paper_and_no_note_on_it() -> None:
    records = records_of(("digit-scenes", "hkd", "mAP"))
    frame = tables.paper_frame(records.outcomes, records.runs, records.trials)
    table = tables.table4(frame)
    assert table.data["paper_score"].isna().all()
    assert not any("voc" in note for note in table.notes)
    assert tables.table5(frame).rows == [], "its metrics are those of classification"


def test_nothing_of_a_detection_is_called_an_accuracy_and_of_a_classification_all_is() -> None:
    detected, classified = report.build(records_of(*VOC)), report.build(records_of(("cifar10", "hkd", None)))
    assert "accura" not in detected.lower()
    assert "mAP" not in classified
    for text in ("test mAP %", "val mAP %", "mAP over cost", "validation mAP", "test mAP 70.0 %, not ranked"):
        assert text in detected, text
    for text in ("test %", "val %", "Accuracy over cost", "validation accuracy", "test 70.0 %, not ranked"):
        assert text in classified, text


def test_figures_and_sentences_name_the_metric() -> None:
    records = records_of(VOC[0])
    for make in (charts.curve_chart, charts.pareto_chart, by_value.tau_chart):
        chart = make(records, 0)
        assert chart is not None
        assert chart["y"] in ("test mAP of the incumbent, %", "test mAP, %")
    short = charts.target_chart(records, 0)
    assert short is not None
    assert short["y"].endswith("% validation mAP, %")
    assert "grid's mAP" in headline(records.outcomes, 0)
    assert all(table.headers[2] == "test mAP %" for table in curves.tables(records, "energy"))
