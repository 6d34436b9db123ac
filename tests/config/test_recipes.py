"""Named recipes: the paper's text and its code, each complete, and what a record calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tune_kd.cli.choices import LOSSES
from tune_kd.cli.choices import RECIPES as OFFERED
from tune_kd.config.recipes import RECIPES, SETTLED
from tune_kd.config.scenario import ALPHA, Scenario, from_record, load_scenario, to_record
from tune_kd.config.training import Recipe
from tune_kd.errors import InputError
from tune_kd.planning.paper_studies import plan_parts

CIFAR_100 = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
TINY = ((0.4802, 0.4481, 0.3975), (0.2302, 0.2265, 0.2262))


def under(recipe: str, preset: str = "cifar10", **settings: Any) -> Scenario:
    return load_scenario(preset).changed({"recipe_name": recipe, **settings})


def without(recipe: Recipe, *names: str) -> dict[str, Any]:
    return {name: value for name, value in recipe.model_dump().items() if name not in names}


def test_paper_is_the_text() -> None:
    scenario = under("paper")
    recipe = scenario.recipe
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.warmup_epochs) == ("adam", 0.1, 0, 0)
    assert (recipe.epochs, recipe.milestones, recipe.gamma) == (100, (40, 60, 80), 0.2)
    assert (recipe.flip, recipe.crop_padding, recipe.rotation_degrees) == (True, 4, 15)
    assert (scenario.reduction, scenario.distillation_weight, scenario.normalisation) == ("batchmean", 0.95, None)


def test_authors_is_the_code() -> None:
    scenario = under("authors")
    recipe = scenario.recipe
    assert (recipe.optimizer, recipe.lr, recipe.momentum, recipe.weight_decay) == ("sgd", 0.1, 0.9, 5e-4)
    assert (recipe.epochs, recipe.batch_size, recipe.nesterov) == (100, 128, False)
    assert (recipe.milestones, recipe.gamma, recipe.warmup_epochs) == ((30, 60, 80), 0.2, 1)
    assert (recipe.flip, recipe.crop_padding, recipe.rotation_degrees) == (True, 4, 15)
    assert (scenario.reduction, scenario.distillation_weight) == ("classmean", 0.95)


@pytest.mark.parametrize("preset", ["cifar10", "cifar100"])
def test_the_code_normalises_both_cifars_by_the_constants_of_one(preset: str) -> None:
    normalisation = under("authors", preset).normalisation
    assert normalisation is not None
    assert (normalisation.mean, normalisation.std) == CIFAR_100


def test_the_code_augments_tiny_imagenet_in_its_own_way() -> None:
    scenario = under("authors", "tiny-imagenet")
    assert (scenario.recipe.flip, scenario.recipe.crop_padding, scenario.recipe.rotation_degrees) == (True, 0, 20)
    assert scenario.normalisation is not None
    assert (scenario.normalisation.mean, scenario.normalisation.std) == TINY
    assert without(scenario.recipe, "crop_padding", "rotation_degrees") == without(
        under("authors").recipe, "crop_padding", "rotation_degrees"
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [("/data/CIFAR-10", CIFAR_100), ("/data/tiny_imagenet_200", TINY), ("/data/photos", None), ("digits", None)],
)
def test_a_folder_named_after_a_data_set_of_the_paper_has_its_constants(data: str, expected: object) -> None:
    normalisation = under("authors", "images", data=data).normalisation
    assert (normalisation and (normalisation.mean, normalisation.std)) == expected


@pytest.mark.parametrize(
    ("preset", "data", "constants", "degrees", "padding"),
    [
        ("tiny-imagenet", "/photos", TINY, 20, 0),
        ("cifar10", "/photos", CIFAR_100, 15, 4),
        ("tiny-imagenet", "/data/cifar10", CIFAR_100, 15, 4),  # the folder's name says more than the scenario's
        ("cifar10", "digits", None, 15, 4),
    ],
)
def test_a_scenario_of_the_paper_has_its_values_from_a_folder_of_any_name(
    preset: str, data: str, constants: object, degrees: float, padding: int
) -> None:
    scenario = under("authors", preset, data=data)
    normalisation, recipe = scenario.normalisation, scenario.recipe
    assert (normalisation and (normalisation.mean, normalisation.std)) == constants
    assert (recipe.rotation_degrees, recipe.crop_padding) == (degrees, padding)
    assert scenario.teacher_recipe == recipe


@pytest.mark.parametrize("key", ["normalisation.mean", "recipe.milestones", "teacher_recipe.lr"])
def test_what_one_scenario_sets_on_top_is_not_the_recipe_of_the_next(key: str) -> None:
    before = under("authors")
    value = {"normalisation.mean": [0.1, 0.1, 0.1], "recipe.milestones": [7], "teacher_recipe.lr": 0.5}[key]
    assert under("authors", **{key: value}) != before
    assert under("authors") == before


def test_a_study_of_the_paper_has_the_authors_values_from_folders(tmp_path: Path) -> None:
    *_, tiny = plan_parts("table1", settings={"recipe_name": "authors"}, sources={"tiny-imagenet": tmp_path})
    official = under("authors", "tiny-imagenet")
    assert tiny.scenario.changed({"data": "tiny-imagenet"}) == official.settled()


@pytest.mark.parametrize("name", ["paper", "authors"])
@pytest.mark.parametrize("preset", ["digits", "cifar100"])
def test_a_recipe_is_complete_for_teacher_and_student_whatever_the_scenario_had(name: str, preset: str) -> None:
    recipe = RECIPES[name]
    assert recipe is not None
    assert recipe.training.keys() == Recipe.model_fields.keys()
    assert {"recipe", "teacher_recipe", *recipe.loss} == set(SETTLED)
    scenario = under(name, preset)
    assert scenario.recipe == scenario.teacher_recipe == under(name, "images").recipe
    assert scenario.recipe_name == name


@pytest.mark.parametrize("preset", ["digits", "images", "cifar10", "cifar100", "tiny-imagenet"])
def test_default_is_the_scenarios_own(preset: str) -> None:
    assert under("default", preset) == load_scenario(preset)
    assert load_scenario(preset).recipe_name == "default"
    assert (load_scenario(preset).recipe.optimizer, load_scenario(preset).reduction) == ("sgd", "batchmean")


def test_more_epochs_scale_the_milestones_of_the_recipe_that_was_named() -> None:
    scenario = under("authors", **{"recipe.epochs": 10})
    assert scenario.recipe.milestones == (3, 6, 8)
    assert scenario.teacher_recipe.epochs == 100


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "authors"),
        ({"alpha": 0.5, "student": "resnet18"}, "authors"),  # a recipe does not settle them
        ({"recipe.lr": 0.1}, "authors"),  # as it is
        ({"recipe.milestones": [30, 60, 80]}, "authors"),
        ({"recipe.lr": 0.05}, "authors, but recipe.lr"),
        ({"recipe.lr": 0.05, "reduction": "batchmean"}, "authors, but recipe.lr, reduction"),
        ({"recipe.epochs": 10}, "authors, but recipe.epochs"),
    ],
)
def test_a_record_says_which_recipe_ran_and_what_was_set_on_top(settings: dict[str, Any], name: str) -> None:
    scenario = under("authors", **settings)
    assert scenario.recipe_name == name
    assert from_record(to_record(scenario)).recipe_name == name


def test_what_is_set_on_top_adds_up_until_another_recipe_is_named() -> None:
    once = under("authors", **{"recipe.lr": 0.05})
    twice = once.changed({"teacher_recipe.lr": 0.2})
    assert twice.recipe_name == "authors, but recipe.lr, teacher_recipe.lr"
    assert twice.changed({"recipe_name": "paper"}) == under("paper")


def test_a_scenario_file_may_name_a_recipe_and_its_own_fields_stay_on_top(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'data = "digits"\nteacher = "digits-teacher"\nstudent = "digits-student"\nrecipe_name = "authors"\n'
        "[recipe]\nepochs = 10\n",
        encoding="utf-8",
    )
    scenario = load_scenario(str(path))
    assert scenario.recipe_name == "authors, but recipe.epochs"
    assert (scenario.recipe.epochs, scenario.recipe.milestones, scenario.recipe.warmup_epochs) == (10, (3, 6, 8), 1)
    assert scenario.teacher_recipe == under("authors").teacher_recipe


def test_an_unknown_recipe_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown recipe 'author'; did you mean 'authors'"):
        under("author")
    with pytest.raises(InputError, match="unknown recipe 'papers'; did you mean 'paper'"):
        under("authors").changed({"recipe_name": "papers"})


def test_a_shell_completes_the_recipes_and_losses_that_there_are() -> None:
    assert tuple(RECIPES) == OFFERED
    assert tuple(ALPHA) == LOSSES
