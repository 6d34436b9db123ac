"""The images of a test that its record keeps: which, what of them, and whose pictures."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from detections import detection_set

from tune_kd.config.scenario import Scenario
from tune_kd.data.detection import DetectionData
from tune_kd.tasks.catalogue import task_of
from tune_kd.tasks.detection.detection import Predictions
from tune_kd.tasks.detection.detections import Detections, Truth
from tune_kd.tasks.detection.examples import examples


@pytest.fixture
def data(scenes: DetectionData) -> DetectionData:
    """A test set of 12 images of other sizes, some without an object."""
    return dataclasses.replace(scenes, test=detection_set(12))


@pytest.fixture
def seen(data: DetectionData) -> Predictions:
    """Its objects, and 30 detections of rising probability in each image."""
    part, image = data.test, np.repeat(np.arange(12), 30)
    there = Truth(np.repeat(np.arange(12), np.diff(part.objects_at)), part.boxes, part.labels, part.difficult)
    boxes = np.tile(np.array([1.04, 2, 30, 40], np.float32), (len(image), 1))
    scores = np.tile(np.linspace(0.02, 0.9, 30, dtype=np.float32), 12)
    return Predictions(Detections(image, boxes, np.full(len(image), 10), scores), there)


def test_the_first_images_with_an_object_are_kept_with_their_surest_detections(
    data: DetectionData, seen: Predictions
) -> None:
    found = examples(*seen, data, pictures=False)
    assert (np.diff(data.test.objects_at) == 0).any()
    assert [one["image"] for one in found] == np.flatnonzero(np.diff(data.test.objects_at))[:4].tolist()
    for one in found:
        assert one["size"] == data.image_size
        assert len(one["detections"]) == 10
        scores = [detection["score"] for detection in one["detections"]]
        assert scores == sorted(scores, reverse=True)
        assert (scores[0], min(scores) >= 0.5) == (0.9, True)
        assert one["detections"][0]["box"] == [1.0, 2, 30, 40]
        assert {detection["class"] for detection in one["detections"]} == {"9"}


@pytest.mark.parametrize("source", ["digit-scenes", "/photographs/digit-scenes"])
def test_pictures_of_a_users_own_folder_are_not_put_into_the_store(
    source: str, scenes_scenario: Scenario, data: DetectionData, seen: Predictions
) -> None:
    scenario = scenes_scenario.model_copy(update={"data": source})
    columns: dict[str, Any] = task_of(scenario).test_columns(seen, data)
    kept = columns["metrics"]["examples"]
    assert [("jpeg" in one) for one in kept] == [source == "digit-scenes"] * 4
    assert len(json.dumps(kept)) < 24_000
