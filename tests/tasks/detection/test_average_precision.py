"""Average precision: hand-made cases, VOC's own procedure detection by detection, and detections from outputs."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scenes import CLASSES, SIZE, scene
from torch import Tensor

from tune_kd.data.detection.objects import Objects
from tune_kd.tasks.detection.average_precision import curves
from tune_kd.tasks.detection.detections import Detections, Truth, detect, truth
from tune_kd.tasks.detection.matching import match
from tune_kd.tasks.detection.scores import figures_of_test, mean_average_precision

BOX = (10.0, 10.0, 30.0, 30.0)
HALF = (20.0, 10.0, 40.0, 30.0)  # IoU with BOX: 200 / 600
MOST = (12.0, 10.0, 32.0, 30.0)  # IoU with BOX: 360 / 440
FAR = (50.0, 50.0, 60.0, 60.0)
Said = tuple[int, tuple[float, ...], int, float]  # image, box, label, score
There = tuple[int, tuple[float, ...], int, bool]  # image, box, label, difficult


def detections(*said: Said) -> Detections:
    columns: Any = list(zip(*said, strict=True)) if said else [[], [], [], []]
    return Detections(
        np.array(columns[0], np.int64),
        np.array(columns[1], np.float32).reshape(-1, 4),
        np.array(columns[2], np.int64),
        np.array(columns[3], np.float32),
    )


def objects(*there: There) -> Truth:
    columns: Any = list(zip(*there, strict=True)) if there else [[], [], [], []]
    return Truth(
        np.array(columns[0], np.int64),
        np.array(columns[1], np.float32).reshape(-1, 4),
        np.array(columns[2], np.int64),
        np.array(columns[3], np.bool_),
    )


TWO = objects((0, BOX, 1, False), (1, BOX, 1, False))
# Each case: detections, objects, area, 11 points, by hand.
CASES = {
    "perfect": ([(0, BOX, 1, 0.9), (1, BOX, 1, 0.8)], TWO, 1, 1),
    "none": ([], TWO, 0, 0),
    "shifted by little": ([(0, MOST, 1, 0.9), (1, MOST, 1, 0.8)], TWO, 1, 1),
    "shifted by half": ([(0, HALF, 1, 0.9), (1, HALF, 1, 0.8)], TWO, 0, 0),
    "one missed": ([(0, BOX, 1, 0.9)], TWO, 1 / 2, 6 / 11),  # precision 1 up to recall ½: 0, .1 … .5
    "in another image": ([(2, BOX, 1, 0.9), (1, BOX, 1, 0.8)], TWO, 1 / 4, 6 * (1 / 2) / 11),
    "of another class": ([(0, BOX, 2, 0.9), (1, BOX, 1, 0.8)], TWO, 1 / 2, 6 / 11),
    # true, false, true: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    "a duplicate": ([(0, BOX, 1, 0.9), (0, MOST, 1, 0.8), (1, BOX, 1, 0.7)], TWO, 5 / 6, (6 + 5 * 2 / 3) / 11),
    # The worse box has the higher score: it is the true one, and the better box a duplicate.
    "the higher score first": ([(0, MOST, 1, 0.9), (0, BOX, 1, 0.8)], TWO, 1 / 2, 6 / 11),
    "a difficult object missed": (
        [(0, BOX, 1, 0.9)],
        objects((0, BOX, 1, False), (1, BOX, 1, True)),
        1,
        1,
    ),
    "a difficult object found twice": (
        [(1, BOX, 1, 0.9), (1, MOST, 1, 0.85), (0, BOX, 1, 0.8)],
        objects((0, BOX, 1, False), (1, BOX, 1, True)),
        1,
        1,
    ),
    # A detection goes to the object that it overlaps most, here the difficult one, though it would fit the other.
    "a difficult object beside an easy one": (
        [(0, MOST, 1, 0.9)],
        objects((0, BOX, 1, False), (0, MOST, 1, True)),
        0,
        0,
    ),
    "something false beside it": ([(0, FAR, 1, 0.9), (0, BOX, 1, 0.8), (1, BOX, 1, 0.7)], TWO, 2 / 3, 2 / 3),
    "something false with the least score": ([(0, BOX, 1, 0.9), (1, BOX, 1, 0.8), (1, FAR, 1, 0.1)], TWO, 1, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_a_hand_made_case_has_the_average_precision_of_the_definition(case: str) -> None:
    said, there, area, points = CASES[case]
    curve = curves(detections(*said), there, 2)[0]
    assert curve.area == pytest.approx(area)
    assert curve.eleven_points == pytest.approx(points)


def test_detections_and_objects_may_come_in_any_order() -> None:
    said, there, area, _ = CASES["a duplicate"]
    turned = Truth(*(part[::-1].copy() for part in there))
    assert curves(detections(*said[::-1]), turned, 2)[0].area == pytest.approx(area)


def test_a_class_without_objects_is_in_no_mean() -> None:
    said, there = [(0, BOX, 1, 0.9), (1, BOX, 1, 0.8), (0, FAR, 2, 0.99)], TWO
    found = curves(detections(*said), there, 3)
    assert mean_average_precision(found) == 1
    assert np.isnan([found[1].area, found[1].eleven_points, found[2].area]).all()
    assert np.isnan(mean_average_precision(found[1:]))


def test_recall_at_a_tenth_reaches_it_exactly() -> None:
    """Three of ten objects found: 4 of the 11 points, 0, .1, .2 and .3, have precision 1."""
    there = objects(*((image, BOX, 1, False) for image in range(10)))
    said = [(image, BOX, 1, 0.9 - image / 100) for image in range(3)]
    assert curves(detections(*said), there, 1)[0].eleven_points == pytest.approx(4 / 11)


def test_the_figures_of_a_test_name_every_class() -> None:
    said = [(0, BOX, 1, 0.9), (0, MOST, 1, 0.6), (1, BOX, 1, 0.3), (0, FAR, 2, 0.8)]
    there = objects((0, BOX, 1, False), (1, BOX, 1, False), (0, FAR, 2, False), (0, BOX, 3, True))
    found = figures_of_test(curves(detections(*said), there, 3), ["cat", "dog", "sheep"])
    area, points = (1 + 2 / 3) / 2, (6 + 5 * 2 / 3) / 11
    assert found["test_score"] == pytest.approx((area + 1) / 2)
    metrics = found["metrics"]
    assert metrics["mAP_area"] == found["test_score"]
    assert metrics["mAP_11_points"] == pytest.approx((points + 1) / 2)
    # Of at least 0.5: one of two detections of a cat is true, and one of two cats is found.
    assert metrics["per_class"]["cat"] == {
        "objects": 2,
        "AP_area": pytest.approx(area),
        "AP_11_points": pytest.approx(points),
        "precision": 0.5,
        "recall": 0.5,
    }
    assert metrics["per_class"]["dog"]["precision"] == metrics["per_class"]["dog"]["recall"] == 1
    nothing = dict.fromkeys(("AP_area", "AP_11_points", "precision", "recall"))
    assert metrics["per_class"]["sheep"] == {"objects": 0, **nothing}


def iou(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(sides.clip(min=0)))
    return shared / (float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared)


def by_vocs_procedure(found: Detections, there: Truth, label: int) -> tuple[float, float]:
    """Area and 11 points of a class, one detection after the other, as the definition tells it."""
    mine, used, outcome = np.flatnonzero(there.labels == label), set(), []
    for row in sorted(np.flatnonzero(found.labels == label), key=lambda row: -found.scores[row]):
        near = [one for one in mine if there.image[one] == found.image[row]]
        best = max(near, key=lambda one: iou(found.boxes[row], there.boxes[one]), default=None)
        if best is None or iou(found.boxes[row], there.boxes[best]) < 0.5:
            outcome.append(False)
        elif not there.difficult[best]:
            outcome.append(best not in used)
            used.add(best)
    positives = int((~there.difficult[mine]).sum())
    pairs = [(sum(outcome[:k]) / positives, sum(outcome[:k]) / k) for k in range(1, len(outcome) + 1)]
    steps = sorted({recall for recall, _ in pairs} | {0.0})
    area = sum(
        (high - low) * max(precision for recall, precision in pairs if recall >= high)
        for low, high in itertools.pairwise(steps)
    )
    points = [max((precision for recall, precision in pairs if recall >= k / 10), default=0.0) for k in range(11)]
    return area, sum(points) / 11


@pytest.mark.parametrize("seed", range(4))
def test_many_random_detections_score_as_vocs_procedure_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 40, (60, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(8, 20, (60, 2))], axis=1).astype(np.float32)
    there = Truth(rng.integers(0, 12, 60), boxes, rng.integers(1, 4, 60), rng.random(60) < 0.3)
    rows = rng.integers(0, 60, 200)
    found = Detections(
        image=np.where(rng.random(200) < 0.9, there.image[rows], rng.integers(0, 14, 200)),
        boxes=(boxes[rows] + rng.normal(0, 2.5, (200, 4))).astype(np.float32),
        labels=np.where(rng.random(200) < 0.9, there.labels[rows], rng.integers(1, 4, 200)),
        scores=rng.random(200).astype(np.float32),
    )
    for label, curve in enumerate(curves(found, there, 3), start=1):
        area, points = by_vocs_procedure(found, there, label)
        assert 0.05 < area < 0.95
        assert (curve.area, curve.eleven_points) == pytest.approx((area, points))


def certain(scene_objects: Objects, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs that say of every default box what it is trained on."""
    classes, targets = match(scene_objects, boxes)
    return 20 * torch.nn.functional.one_hot(classes, CLASSES).float(), targets


def test_outputs_that_say_what_they_are_trained_on_detect_every_object_that_is_not_difficult() -> None:
    there, boxes, *_ = scene()
    found = detect(*certain(there, boxes), boxes, SIZE)
    judged = [curve for curve in curves(found, truth(there), CLASSES - 1) if curve.positives]
    assert judged
    assert [curve.area for curve in judged] == pytest.approx([1.0] * len(judged))
    assert len(found.labels) == 4  # two objects in the first image, two that are not difficult in the third


def test_detections_and_objects_of_a_later_batch_are_of_later_images() -> None:
    there, boxes, *_ = scene()
    found = detect(*certain(there, boxes), boxes, SIZE, first=10)
    assert set(found.image) == {10, 12}
    assert truth(there, first=10).image.tolist() == [10, 10, 12, 12, 12]


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("which", ["logits", "regressions"])
def test_an_image_whose_outputs_are_not_finite_has_no_detections_and_others_keep_theirs(
    which: str, value: float
) -> None:
    there, boxes, *_ = scene()
    logits, regressions = certain(there, boxes)
    (logits if which == "logits" else regressions)[0, 0, 0] = value
    assert set(detect(logits, regressions, boxes, SIZE).image) == {2}


def test_boxes_stay_within_the_image_and_no_image_has_more_than_200() -> None:
    _, boxes, logits, regressions = scene()
    found = detect(logits, 3 * regressions, boxes, SIZE)
    assert found.boxes.min() >= 0
    assert found.boxes.max() <= SIZE
    assert np.bincount(found.image).max() <= 200
    assert found.scores.min() > 0.01


def test_images_without_objects_or_detections_are_judged() -> None:
    assert curves(detections(), TWO, 1)[0].area == 0
    assert np.isnan(curves(detections((0, BOX, 1, 0.5)), objects(), 1)[0].area)
