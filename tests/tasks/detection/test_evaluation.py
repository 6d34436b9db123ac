"""An evaluation of networks that say what they were told: everything, or everything but for a known fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tune_kd.config.scenario import Scenario
from tune_kd.data.detection import DetectionData
from tune_kd.data.detection.batches import eval_batches
from tune_kd.models.detectors import default_boxes
from tune_kd.tasks.catalogue import task_of
from tune_kd.tasks.detection.matching import match

CPU = torch.device("cpu")
CLASSES, SIZE = 11, 64


def boxes() -> Tensor:
    return default_boxes("ssdlite-small", classes=CLASSES, image_size=SIZE)


class Knowing(nn.Module):
    """Says of the images of an evaluation, batch after batch, what it has been told."""

    def __init__(self, told: list[tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.told = iter(told)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return next(self.told)


def told(scenes: DetectionData, part: Any) -> list[tuple[Tensor, Tensor]]:
    """For each batch of 32, logits and regressions that are right about every default box."""
    answers = []
    for batch in eval_batches(part, image_size=SIZE, batch_size=32, mean=scenes.mean, std=scenes.std):
        classes, regressions = match(batch.labels, boxes())
        answers.append((20 * nn.functional.one_hot(classes, CLASSES).float(), regressions))
    return answers


def test_a_network_that_knows_everything_scores_1_and_its_loss_is_0(
    scenes_scenario: Scenario, scenes: DetectionData
) -> None:
    task = task_of(scenes_scenario)
    part = task.on_device(scenes.train, CPU)
    found = task.evaluate(Knowing(told(scenes, part)), part, scenes, "float32")
    assert found.score == pytest.approx(1)
    assert found.loss == pytest.approx(0, abs=1e-4)
    assert found.finite


@pytest.mark.parametrize("which", [0, 1], ids=["logits", "regressions"])
def test_a_network_whose_outputs_are_not_finite_finds_nothing_and_is_said_to_be_so(
    which: int, scenes_scenario: Scenario, scenes: DetectionData
) -> None:
    task = task_of(scenes_scenario)
    part = task.on_device(scenes.train, CPU)
    answers = [list(answer) for answer in told(scenes, part)]
    for answer in answers:
        answer[which] = torch.full_like(answer[which], torch.nan)
    found = task.evaluate(Knowing([(logits, places) for logits, places in answers]), part, scenes, "float32")
    assert (found.score, found.finite) == (0, False)


def score_of(scenario: Scenario, scenes: DetectionData, answers: list[tuple[Tensor, Tensor]]) -> float:
    task = task_of(scenario)
    part = task.on_device(scenes.train, CPU)
    return task.evaluate(Knowing(answers), part, scenes, "float32").score


@pytest.mark.parametrize(("widths", "score"), [(0.05, 1), (20, 0)], ids=["a little", "out of sight"])
def test_shifted_boxes_are_right_as_long_as_they_overlap(
    widths: float, score: float, scenes_scenario: Scenario, scenes: DetectionData
) -> None:
    part = task_of(scenes_scenario).on_device(scenes.train, CPU)
    # An offset of 10 is the width of the default box.
    along = torch.tensor([10 * widths, 0, 0, 0])
    answers = [(logits, regressions + along) for logits, regressions in told(scenes, part)]
    assert score_of(scenes_scenario, scenes, answers) == pytest.approx(score)


def test_without_the_first_batch_the_score_is_the_share_of_objects_in_the_others(
    scenes_scenario: Scenario, scenes: DetectionData
) -> None:
    part = task_of(scenes_scenario).on_device(scenes.train, CPU)
    answers = told(scenes, part)
    answers[0] = (-answers[0][0] * 0 + torch.eye(CLASSES)[0] * 20, answers[0][1])  # 32 images of background
    first = scenes.train.objects_at[32]
    there, found = (
        np.bincount(labels, minlength=CLASSES)[1:] for labels in (scenes.train.labels, scenes.train.labels[first:])
    )
    assert 0 < found.sum() < there.sum()
    assert score_of(scenes_scenario, scenes, answers) == pytest.approx((found / there).mean())


def test_boxes_that_say_the_same_of_an_object_are_one_detection(
    scenes_scenario: Scenario, scenes: DetectionData
) -> None:
    task = task_of(scenes_scenario)
    part = task.on_device(scenes.train, CPU)
    answers = told(scenes, part)
    assert sum(int((logits.argmax(-1) > 0).sum()) for logits, _ in answers) > len(scenes.train.labels)
    found: Any = task.evaluate(Knowing(answers), part, scenes, "float32").predictions.found
    assert (found.scores > 0.5).sum() == len(scenes.train.labels)


def test_detections_of_a_wrong_class_with_a_higher_probability_come_before_the_true_ones(
    scenes_scenario: Scenario, scenes: DetectionData
) -> None:
    part = task_of(scenes_scenario).on_device(scenes.train, CPU)
    answers = []
    for logits, places in told(scenes, part):
        object_there = logits.argmax(-1, keepdim=True) > 0
        next_digit = logits.roll(1, -1) / 20 * (20 + np.log(2))  # twice as probable; that of a 9 is the background
        answers.append((logits + next_digit * object_there, places))
    true = np.bincount(scenes.train.labels, minlength=CLASSES)[1:]
    false = np.array([0, *true[:-1]])
    # Every true detection comes after all false ones: at the end the precision is the best of the curve.
    expected = (true / (true + false)).mean()
    assert score_of(scenes_scenario, scenes, answers) == pytest.approx(expected)
