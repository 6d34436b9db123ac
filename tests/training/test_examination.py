"""The reading of the test set: metrics against their definitions, on the weights that were chosen."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from tune_kd import models
from tune_kd.config.scenario import load_scenario
from tune_kd.data import ImageData
from tune_kd.events import TrialTested, from_json, to_json, utc_now
from tune_kd.meter.base import Meter
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.energy import Energy
from tune_kd.storage import checkpoints
from tune_kd.tasks.class_scores import class_scores
from tune_kd.training.examination import examine
from tune_kd.training.trial import Trial

MakeTrial = Callable[..., Trial]
MakeMeter = Callable[..., Meter]
CPU = torch.device("cpu")
CARBON = Carbon(intensity_g_per_kwh=400.0, source="chosen for the tests", pue=2.0)
SCENARIO = load_scenario("digits")
Confusion = list[list[int]]


def metrics_of(confusion: Confusion) -> dict[str, Any]:
    """The metrics of labels and predictions that have this confusion matrix: rows truth, columns prediction."""
    cells = [(i, j) for i, row in enumerate(confusion) for j, count in enumerate(row) for _ in range(count)]
    labels, predictions = np.array(cells, dtype=np.int64).T
    return class_scores(labels, predictions, len(confusion))


def test_two_classes_worked_out_by_hand() -> None:
    found = metrics_of([[20, 5], [10, 15]])
    assert found["confusion"] == [[20, 5], [10, 15]]
    assert found["test_score"] == pytest.approx(35 / 50)
    assert found["precision_macro"] == pytest.approx((20 / 30 + 15 / 20) / 2)
    assert found["recall_macro"] == pytest.approx((20 / 25 + 15 / 25) / 2)
    assert found["specificity_macro"] == pytest.approx((15 / 25 + 20 / 25) / 2)
    assert found["f1_macro"] == pytest.approx((8 / 11 + 2 / 3) / 2)
    assert found["kappa"] == pytest.approx(0.4)  # agreement 0.7, by chance 0.5
    assert found["prevalence"] == pytest.approx(0.5)
    assert found["per_class"][1] == pytest.approx({"precision": 0.75, "recall": 0.6, "f1": 2 / 3})


def test_three_classes_worked_out_by_hand() -> None:
    found = metrics_of([[5, 1, 0], [2, 3, 1], [0, 0, 4]])
    assert found["test_score"] == pytest.approx(12 / 16)
    assert found["precision_macro"] == pytest.approx((5 / 7 + 3 / 4 + 4 / 5) / 3)
    assert found["recall_macro"] == pytest.approx((5 / 6 + 3 / 6 + 4 / 4) / 3)
    assert found["specificity_macro"] == pytest.approx((8 / 10 + 9 / 10 + 11 / 12) / 3)
    chance = (6 * 7 + 6 * 4 + 4 * 5) / 16**2
    assert found["kappa"] == pytest.approx((0.75 - chance) / (1 - chance))
    assert found["prevalence"] == pytest.approx(6 / 16)


@st.composite
def confusions(draw: st.DrawFn) -> Confusion:
    """Confusion matrices of 2 to 5 classes, each with a test image at least."""
    classes = draw(st.integers(2, 5))
    rows = st.lists(st.integers(0, 9), min_size=classes, max_size=classes).filter(any)
    return draw(st.lists(rows, min_size=classes, max_size=classes))


def ratio(part: int, whole: int) -> Fraction:
    return Fraction(part, whole) if whole else Fraction(0)


@settings(max_examples=40)
@given(confusions())
def test_every_metric_is_its_definition(confusion: Confusion) -> None:
    found, classes = metrics_of(confusion), range(len(confusion))
    total = sum(map(sum, confusion))
    truth, predicted = [sum(row) for row in confusion], [sum(column) for column in zip(*confusion, strict=True)]
    right = [confusion[k][k] for k in classes]
    precision = [ratio(right[k], predicted[k]) for k in classes]
    recall = [ratio(right[k], truth[k]) for k in classes]
    f1 = [ratio(2 * right[k], truth[k] + predicted[k]) for k in classes]
    specificity = [ratio(total - truth[k] - predicted[k] + right[k], total - truth[k]) for k in classes]
    chance = sum(Fraction(truth[k] * predicted[k], total**2) for k in classes)
    accuracy = Fraction(sum(right), total)
    expected = {
        "test_score": accuracy,
        "precision_macro": sum(precision) / len(classes),
        "recall_macro": sum(recall) / len(classes),
        "specificity_macro": sum(specificity) / len(classes),
        "f1_macro": sum(f1) / len(classes),
        "kappa": (accuracy - chance) / (1 - chance),
        "prevalence": Fraction(max(truth), total),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), abs=1e-12), name
    for k in classes:
        parts = {"precision": float(precision[k]), "recall": float(recall[k]), "f1": float(f1[k])}
        assert found["per_class"][k] == pytest.approx(parts, abs=1e-12)


@settings(max_examples=40)
@given(confusion=confusions(), data=st.data())
def test_what_the_classes_are_called_does_not_matter(confusion: Confusion, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(confusion))))
    found, renamed = metrics_of(confusion), metrics_of([[confusion[i][j] for j in order] for i in order])
    for name, value in found.items():
        if isinstance(value, float):
            assert renamed[name] == pytest.approx(value, abs=1e-12), name
    assert renamed["per_class"] == [pytest.approx(found["per_class"][k]) for k in order]


@settings(max_examples=40)
@given(confusions())
def test_metrics_are_plain_finite_numbers_that_a_journal_takes(confusion: Confusion) -> None:
    found = metrics_of(confusion)
    numbers = [value for value in found.values() if isinstance(value, float)]
    assert all(type(value) is float and math.isfinite(value) for value in numbers)
    costs: dict[str, Any] = {
        "inference_s": 1.0,
        "inference_energy_j": None,
        "inference_co2e_g": None,
        "energy_test_j": None,
    }
    event = TrialTested(run_id="r", trial_id="t", attempt=0, at=utc_now(), **found, **costs)
    assert from_json(to_json(event)) == event


@settings(max_examples=40)
@given(confusions())
def test_perfect_predictions_score_one_everywhere(confusion: Confusion) -> None:
    diagonal = [[sum(row) if i == j else 0 for j in range(len(row))] for i, row in enumerate(confusion)]
    found = metrics_of(diagonal)
    for name in ("test_score", "precision_macro", "recall_macro", "specificity_macro", "f1_macro", "kappa"):
        assert found[name] == pytest.approx(1)


@settings(max_examples=40)
@given(confusions(), st.data())
def test_a_constant_answer_scores_the_prevalence_and_no_kappa(confusion: Confusion, data: st.DataObject) -> None:
    support = [sum(row) for row in confusion]
    always = support.index(max(support))
    found = metrics_of([[n if j == always else 0 for j in range(len(support))] for n in support])
    assert found["test_score"] == pytest.approx(found["prevalence"])
    assert found["kappa"] == pytest.approx(0, abs=1e-12)
    assume(len(support) > 2)
    assert found["recall_macro"] == pytest.approx(1 / len(support))


# Examining a trial's checkpoint


def random_student(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return models.build("digits-student", classes=10, channels=1, image_size=8)


def normalised(data: ImageData) -> torch.Tensor:
    images = torch.from_numpy(data.test.images).double() / 255
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (data.mean, data.std))
    return (images - mean) / std


def test_the_chosen_weights_are_tested_and_not_the_last_ones(
    digits: ImageData, meter: MakeMeter, tmp_path: Path
) -> None:
    chosen, last = random_student(0), random_student(1)
    path = tmp_path / "trial.pt"
    weights = {"network": last.state_dict(), "chosen": {"weights": chosen.state_dict()}, "before": None}
    checkpoints.save(path, {**weights, "epoch": 2})
    found = examine(SCENARIO, path, digits, device=CPU, meter=meter(), carbon=CARBON)
    with torch.no_grad():
        predictions = chosen.double().eval()(normalised(digits)).argmax(dim=1).numpy()
        others = last.double().eval()(normalised(digits)).argmax(dim=1).numpy()
    expected = class_scores(digits.test.labels, predictions, 10)
    assert found["confusion"] == expected["confusion"]
    assert found["confusion"] != class_scores(digits.test.labels, others, 10)["confusion"]
    assert sum(map(sum, found["confusion"])) == len(digits.test)
    assert found["test_score"] == np.mean(predictions == digits.test.labels)


def test_a_trials_checkpoint_can_be_examined(
    make_trial: MakeTrial, digits: ImageData, meter: MakeMeter, tmp_path: Path
) -> None:
    path = tmp_path / "trial.pt"
    list(make_trial(checkpoint=path).fit())
    found = examine(SCENARIO, path, digits, device=CPU, meter=meter(), carbon=CARBON)
    # The worker adds the energy of the whole examination, from its own account.
    event = TrialTested(run_id="r", trial_id="t", attempt=0, at=utc_now(), **found, energy_test_j=None)
    assert from_json(to_json(event)) == event
    assert sum(map(sum, found["confusion"])) == len(digits.test)
    assert found["inference_s"] > 0
    assert found["inference_energy_j"] is found["inference_co2e_g"] is None


def test_the_examination_is_charged_its_own_energy_alone(
    make_trial: MakeTrial, digits: ImageData, meter: MakeMeter, tmp_path: Path
) -> None:
    path = tmp_path / "trial.pt"
    list(make_trial(checkpoint=path).fit())
    marks = [Energy(cpu_j=joules, method="model") for joules in (1000.0, 1000.0 + 3.6e6)]
    found = examine(SCENARIO, path, digits, device=CPU, meter=meter(marks), carbon=CARBON)
    assert found["inference_energy_j"] == pytest.approx(3.6e6)
    assert found["inference_co2e_g"] == pytest.approx(1 * 2 * 400)  # 1 kWh · PUE 2 · 400 g/kWh


def test_examining_changes_neither_the_checkpoint_nor_the_result(
    make_trial: MakeTrial, digits: ImageData, meter: MakeMeter, tmp_path: Path
) -> None:
    path = tmp_path / "trial.pt"
    list(make_trial(checkpoint=path).fit())
    before = path.read_bytes()
    first, second = (examine(SCENARIO, path, digits, device=CPU, meter=meter(), carbon=CARBON) for _ in range(2))
    assert path.read_bytes() == before
    assert {**first, "inference_s": 0} == {**second, "inference_s": 0}


def test_without_a_checkpoint_there_is_nothing_to_examine(digits: ImageData, meter: MakeMeter, tmp_path: Path) -> None:
    path = tmp_path / "missing.pt"
    with pytest.raises(FileNotFoundError, match=r"missing\.pt"):
        examine(SCENARIO, path, digits, device=CPU, meter=meter(), carbon=CARBON)
