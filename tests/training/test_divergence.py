"""Trainings that diverge: what is not finite is never right, and the record says from which epoch on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from run_events import ended, report, started
from torch import Tensor, nn

from policies import Policy
from policies.base import Softening, Temperature, hinton
from search_spaces import SPACES
from tune_kd.config.catalogue import make_policy
from tune_kd.config.scenario import Scenario, load_scenario
from tune_kd.data import ImageData, ImageSet
from tune_kd.data.batches import DeviceImages
from tune_kd.errors import InputError, RunFailed
from tune_kd.events import EpochReport, TrialEnded, from_json, to_json
from tune_kd.history.records import largest_class
from tune_kd.history.run_history import KnownTrial
from tune_kd.meter.base import Meter
from tune_kd.store.writing.fold import fold
from tune_kd.tasks.base import Evaluation
from tune_kd.tasks.chance import no_better
from tune_kd.tasks.class_scores import class_scores
from tune_kd.tasks.classification import NO_CLASS, evaluate
from tune_kd.training.examination import examine
from tune_kd.training.teacher import Teacher, check_networks, load_teacher, save_teacher, train_teacher
from tune_kd.training.trial import Place, Trial

CPU = torch.device("cpu")
MakeTrial = Callable[..., Trial]
EPOCHS = 3


class Answers(nn.Module):
    """One-hot logits of the right class; for some images, by place, another number."""

    def __init__(self, labels: np.ndarray, instead: Mapping[int, float]) -> None:
        super().__init__()
        self.logits = 9.0 * torch.eye(10)[torch.from_numpy(labels)]
        for place, value in instead.items():
            self.logits[place, 0] = value

    def forward(self, images: Tensor) -> Tensor:
        return self.logits[: len(images)]


def evaluated(data: ImageData, labels: list[int], instead: Mapping[int, float]) -> Evaluation:
    part = ImageSet(images=data.test.images[: len(labels)], labels=np.array(labels))
    return evaluate(Answers(part.labels, instead), DeviceImages(part, CPU), data, "float32")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_output_that_is_not_finite_is_never_right(value: float, digits: ImageData) -> None:
    found = evaluated(digits, [0, 0, 0, 3], instead={0: value, 3: value})
    assert found.predictions.classes.tolist() == [NO_CLASS, 0, 0, NO_CLASS]
    assert found.predictions.confidences.isfinite().tolist() == [False, True, True, False], "no answer, no confidence"
    assert (found.score, found.finite) == (0.5, False)


def test_a_network_of_nans_scores_nothing_where_most_images_are_of_the_first_class(digits: ImageData) -> None:
    found = evaluated(digits, [0] * 8 + [1, 2], instead=dict.fromkeys(range(10), math.nan))
    assert (found.score, found.finite) == (0.0, False)
    assert evaluated(digits, [0] * 8 + [1, 2], instead={}).finite


def test_metrics_of_images_without_an_answer_worked_out_by_hand() -> None:
    labels, predictions = np.array([0, 0, 0, 1, 1]), np.array([0, NO_CLASS, 1, 1, NO_CLASS])
    found = class_scores(labels, predictions, 2)
    assert found["confusion"] == [[1, 1], [0, 1]]
    assert found["test_score"] == pytest.approx(2 / 5)
    assert found["recall_macro"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert found["precision_macro"] == pytest.approx((1 / 1 + 1 / 2) / 2)
    assert found["specificity_macro"] == pytest.approx((2 / 2 + 2 / 3) / 2)  # an answer of none is not that class
    assert found["prevalence"] == pytest.approx(3 / 5)
    chance = (3 * 1 + 2 * 2) / 25
    assert found["kappa"] == pytest.approx((2 / 5 - chance) / (1 - chance))


@pytest.mark.parametrize("answer", [NO_CLASS, 0, 1])
def test_a_constant_answer_agrees_by_chance_alone(answer: int) -> None:
    assert class_scores(np.array([0, 0, 1]), np.full(3, answer), 2)["kappa"] == pytest.approx(0)


class Breaking(Temperature):
    """τ = 4, but from an epoch on it is not a number."""

    def __init__(self, since: int) -> None:
        super().__init__()
        self.since, self.tau = since, 4.0

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        self.tau = 4.0 if epoch < self.since else math.nan

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        return hinton(torch.tensor(self.tau))


@dataclass(frozen=True, kw_only=True)
class Breaks(Policy):
    name: ClassVar[str] = "breaks"
    since: int = 1

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Breaking(self.since)


def test_a_trial_says_the_first_epoch_that_was_not_finite_and_goes_on_to_its_end(make_trial: MakeTrial) -> None:
    reports = list(make_trial(Breaks(), settings={"checkpoint": "last"}).fit())
    assert [report.diverged_epoch for report in reports] == [None, 2, 2]
    assert [report.epoch for report in reports] == [1, 2, 3]
    assert reports[0].val_score > 0
    assert [report.val_score for report in reports[1:]] == [0, 0]
    assert (reports[-1].checkpoint_epoch, reports[-1].checkpoint_val_score) == (3, 0)
    again = from_json(to_json(reports[-1]))
    assert isinstance(again, EpochReport)
    assert (again.diverged_epoch, again.flops_executed) == (2, reports[-1].flops_executed)


def test_the_best_checkpoint_of_a_trial_that_diverged_is_from_before(make_trial: MakeTrial) -> None:
    first, *_, last = make_trial(Breaks(), settings={"checkpoint": "best"}).fit()
    assert (last.checkpoint_epoch, last.checkpoint_val_score) == (1, first.val_score)
    assert last.diverged_epoch == 2


def test_a_trial_that_goes_on_after_it_diverged_still_knows_when(make_trial: MakeTrial, tmp_path: Path) -> None:
    place = tmp_path / "trial.pt"
    reports = make_trial(Breaks(), checkpoint=place).fit()
    for _ in range(2):
        next(reports)
    resumed = list(make_trial(Breaks(since=9), checkpoint=place).fit())
    assert [report.diverged_epoch for report in resumed] == [2] * len(resumed)


def test_a_learning_rate_that_throws_the_weights_away_is_a_divergence(make_trial: MakeTrial) -> None:
    last = list(make_trial(settings={"recipe.lr": 1e30}).fit())[-1]
    assert last.diverged_epoch is not None
    assert last.val_score < 0.5


def test_the_test_of_a_student_of_nans_is_all_wrong_and_all_numbers(
    make_trial: MakeTrial, digits: ImageData, scenario: Scenario, meter: Callable[..., Meter], tmp_path: Path
) -> None:
    trial = make_trial(Breaks(since=0), checkpoint=tmp_path / "trial.pt")
    place: Place = trial.place
    assert [report.diverged_epoch for report in trial.fit()] == [1] * EPOCHS
    found = examine(scenario, tmp_path / "trial.pt", digits, device=CPU, meter=meter(), carbon=place.carbon)
    assert (found["test_score"], np.sum(found["confusion"])) == (0, 0)
    averages = [found[name] for name in found if name.endswith("_macro") or name in ("kappa", "prevalence")]
    assert np.isfinite(averages).all()


# What learns from it


@pytest.mark.parametrize("policy", ["tpe:startup=2", "gp:startup=2", "cost-aware:startup=2"])
def test_a_search_goes_on_after_trials_that_diverged(policy: str) -> None:
    searcher = make_policy(f"{policy}:lag=1").searcher(SPACES["tau"], 0)
    for index in range(6):
        params = searcher.suggest(f"trial-{index}")
        assert isinstance(params, dict)
        assert 2 <= params["tau"] <= 20
        accuracy = 0.0 if index < 3 else 0.9  # the first three have diverged: no output was finite
        result = {"val_score": accuracy, "energy_j": None, "flops_executed": 1.0, "training_iteration": 1}
        searcher.on_trial_complete(f"trial-{index}", result)


# What is recorded


def with_epoch(diverged: int | None, epoch: int = 1) -> EpochReport:
    return EpochReport(**{**vars(report("t", 0, epoch, 1.0)), "diverged_epoch": diverged, "train_loss": math.nan})


def test_the_row_of_a_trial_says_when_it_diverged() -> None:
    events = [started("t", 0), with_epoch(None, 1), with_epoch(2, 2), with_epoch(2, 3), ended("t", 0)]
    rows = fold(events)
    assert rows.trial["diverged_epoch"] == 2
    assert [row["diverged_epoch"] for row in rows.reports] == [None, 2, 2]
    assert fold([started("t", 0), with_epoch(None, 1), ended("t", 0)]).trial["diverged_epoch"] is None


def test_an_attempt_that_found_everything_trained_hands_on_when_the_trial_diverged() -> None:
    trial = KnownTrial(trial_id="t", index=0, params={}, attempt=1, last={0: with_epoch(2, 3)})
    end = TrialEnded(**{**vars(ended("t", 1)), **trial.chosen_before})
    assert fold([started("t", 1), end]).trial["diverged_epoch"] == 2


# Teachers


def broken(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    first = next(iter(weights))
    return {**weights, first: torch.full_like(weights[first], math.nan)}


def test_a_teacher_from_a_file_of_nans_is_refused_in_one_line(
    scenario: Scenario, digits: ImageData, teacher: Teacher, tmp_path: Path
) -> None:
    path = tmp_path / "teacher.pt"
    torch.save(broken(teacher.weights), path)
    with pytest.raises(InputError, match="weights that are not finite") as refused:
        check_networks(scenario.changed({"teacher_checkpoint": str(path)}), digits)
    assert "\n" not in str(refused.value)
    assert next(iter(teacher.weights)) in str(refused.value)


def test_a_teacher_that_diverges_ends_its_training_and_says_what_to_try(
    scenario: Scenario, digits: ImageData, meter: Callable[..., Meter]
) -> None:
    wild = scenario.changed({"teacher_recipe.lr": 1e30})
    with pytest.raises(RunFailed, match=r"diverged in epoch 1 of 2: .* 1e\+30, .*teacher_recipe\.lr=1e\+29$") as said:
        train_teacher(wild, digits, device=CPU, meter=meter())
    assert "\n" not in str(said.value)


def test_a_teacher_of_nans_that_was_kept_is_not_used(teacher: Teacher, tmp_path: Path) -> None:
    changed: dict[str, Any] = {**vars(teacher), "weights": broken(teacher.weights)}
    save_teacher(tmp_path / "teacher.pt", Teacher(**changed))
    assert load_teacher(tmp_path / "teacher.pt") is None


@pytest.mark.parametrize(
    ("accuracy", "images", "said"),
    [
        (0.08, 500, "validation 8.0 %, the largest class is 10.0 %: no better than always naming it"),
        (0.10, 500, "validation 10.0 %, the largest class is 10.0 %: no better than always naming it"),
        (0.104, 500, "validation 10.4 %, the largest class is 10.0 %: no better than always naming it, as far as 500"),
        (0.104, 50_000, None),  # there 0.22 pp are luck
        (0.9, 500, None),
        (math.nan, 500, None),
        (0.08, math.nan, None),  # the store of an older version
    ],
)
def test_what_is_no_better_than_naming_the_largest_class_is_said(
    accuracy: float, images: float, said: str | None
) -> None:
    found = no_better(accuracy, 0.1, images)
    assert (found and found.removesuffix(" images tell")) == said


def test_the_largest_class_is_counted() -> None:
    images = np.zeros((5, 1, 8, 8), dtype=np.uint8)
    labelled = SimpleNamespace(validation=ImageSet(images=images, labels=np.array([0, 2, 2, 1, 2])))
    assert largest_class(labelled, load_scenario("digits")) == (pytest.approx(3 / 5), 5)
    assert largest_class(labelled, load_scenario("digit-scenes")) is None, "its score is no accuracy"
