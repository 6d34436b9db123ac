"""The scenario's fields of detection, and what the named recipes settle for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tune_kd.config.scenario import Scenario, from_record, load_scenario, to_record
from tune_kd.errors import InputError
from tune_kd.models.detectors import pairs

BOXES = Scenario(name="boxes", task="detection", data="voc", teacher="ssd300-vgg16", student="ssdlite-mobilenetv2")


def test_older_records_stay_as_they_were() -> None:
    fields = json.loads(to_record(load_scenario("digits")))
    assert not {"augmentation", "distilled_boxes", "background_weight", "bounded_regression"} & fields.keys()


def test_a_record_keeps_what_is_not_the_default() -> None:
    given = BOXES.changed({"augmentation": "ssd", "distilled_boxes": "all", "bounded_regression": True})
    assert from_record(to_record(given)) == given.settled()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"distilled_boxes": "hardest"}, "distilled_boxes"),
        ({"background_weight": -1}, "background_weight"),
        ({"augmentation": "mosaic"}, "augmentation"),
        ({"bounded_regression": True, "loss": "ce"}, "bounded_regression asks the teacher, which loss 'ce' does not"),
        ({"task": "classification", "background_weight": 1.5}, "background_weight is of task 'detection'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as refusal:
        BOXES.changed(settings)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_authors_is_the_code_that_the_papers_code_names_for_detection() -> None:
    scenario = BOXES.changed({"recipe_name": "authors"})
    of_student, of_teacher = scenario.recipe, scenario.teacher_recipe
    assert (of_student.epochs, of_student.batch_size, of_student.optimizer, of_student.lr) == (70, 128, "adam", 1.25e-4)
    assert (of_teacher.optimizer, of_teacher.lr, of_teacher.momentum, of_teacher.weight_decay) == (
        "sgd",
        1.25e-4,
        0.9,
        5e-4,
    )
    assert (scenario.background_weight, scenario.bounded_regression, scenario.augmentation) == (1.5, True, "ssd")
    assert scenario.normalisation is not None
    assert [255 * mean for mean in scenario.normalisation.mean] == pytest.approx([127] * 3)
    assert [255 * std for std in scenario.normalisation.std] == pytest.approx([128] * 3)
    pairs(scenario.teacher, scenario.student, classes=21, image_size=300)


def test_paper_is_the_text_without_the_rotation_for_which_boxes_have_no_turn() -> None:
    scenario = BOXES.changed({"recipe_name": "paper"})
    recipe = scenario.recipe
    assert (recipe.epochs, recipe.optimizer, recipe.lr) == (70, "adam", 0.1)
    assert (recipe.flip, recipe.crop_padding, recipe.rotation_degrees) == (False, 0, 0)
    assert (scenario.augmentation, scenario.student) == ("ssdlite", BOXES.student)


def test_a_recipe_of_classification_settles_nothing_of_detection() -> None:
    scenario = load_scenario("images").changed({"recipe_name": "authors", "data": "/photos/voc"})
    assert (scenario.student, scenario.augmentation) == (load_scenario("images").student, "none")


def test_a_record_names_the_networks_that_were_set_on_top_of_a_recipe_that_settles_them() -> None:
    assert BOXES.changed({"recipe_name": "authors"}).changed({"student": "mine.net:make"}).recipe_name == (
        "authors, but student"
    )
    assert (
        load_scenario("cifar10").changed({"recipe_name": "authors"}).changed({"student": "wrn-16-1"}).recipe_name
        == "authors"
    )
