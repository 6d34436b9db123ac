"""The few test images by which people look at networks: the same for all, and what is kept of them."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from tune_kd import models
from tune_kd.config.scenario import Scenario, load_scenario
from tune_kd.data import ImageData
from tune_kd.history.records import RunRow
from tune_kd.planning.plan import plan_study
from tune_kd.tasks.class_examples import IMAGES, example_images, examples, explained

CPU = torch.device("cpu")


def test_the_first_image_of_each_class_comes_first_and_then_the_second_of_each() -> None:
    labels = np.array([2, 2, 0, 1, 0, 2, 1])
    assert example_images(labels, 3).tolist() == [2, 3, 0]
    assert example_images(labels, 7).tolist() == [2, 3, 0, 4, 6, 1, 5]
    assert example_images(labels, 20).tolist() == [2, 3, 0, 4, 6, 1, 5]
    assert len(example_images(np.array([1, 0]))) == 2


def test_what_is_kept_of_the_images_is_a_picture_of_them(digits: ImageData) -> None:
    found = examples(digits, pictures=True)
    assert found["images"] == example_images(digits.test.labels).tolist()
    assert found["labels"] == [0, 1, 2, 3]
    assert found["classes"] == list(digits.classes)
    for index, text in zip(found["images"], found["png"], strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
        assert np.array_equal(pixels, digits.test.images[index, 0])


def test_what_a_network_says_is_its_logits_of_those_images(digits: ImageData) -> None:
    torch.manual_seed(0)
    network = models.build("digits-student", classes=10, channels=1, image_size=8).eval()
    found = explained(network, digits, CPU)
    chosen = example_images(digits.test.labels)
    mean, std = digits.mean[0], digits.std[0]
    with torch.no_grad():
        logits = network((torch.from_numpy(digits.test.images[chosen]).float() / 255 - mean) / std)
    np.testing.assert_allclose(found["example_logits"], logits, rtol=1e-4, atol=1e-5)
    assert np.shape(found["example_maps"]) == (IMAGES, 4, 4)
    assert found["example_layer"] == "5"


def test_of_a_network_of_nans_nothing_is_kept(digits: ImageData) -> None:
    network = models.build("digits-student", classes=10, channels=1, image_size=8)
    torch.nn.init.constant_(network[0].weight, torch.nan)
    found = explained(network, digits, CPU)
    assert (found["example_logits"], found["example_maps"]) == (None, None)


@pytest.mark.parametrize("own", [False, True], ids=["public", "a user's own"])
def test_pictures_of_a_users_own_images_are_not_put_into_the_store(own: bool, digits: ImageData) -> None:
    scenario: Scenario = load_scenario("digits")
    study = plan_study(policies=["fixed"], scenario="digits", budget="1trials")
    plan = study.runs[0]
    if own:
        object.__setattr__(plan, "scenario", scenario.model_copy(update={"data": "/photographs"}))
    kept = json.loads(RunRow.planned(study, plan, digits).columns["examples_json"])
    assert ("png" in kept) is not own
    assert kept["labels"] == [0, 1, 2, 3]
