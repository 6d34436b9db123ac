"""Scenarios: presets, settings, records, and one clear line for whatever cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_kd.config.scenario import (
    Normalisation,
    Recipe,
    Scenario,
    from_record,
    load_scenario,
    parse_settings,
    scenario_names,
    to_record,
)
from tune_kd.errors import InputError
from tune_kd.tasks.catalogue import task_of

DIGITS = load_scenario("digits")


def refusal(action: Any, *arguments: Any) -> str:
    """The one line with which ``action`` refuses its arguments."""
    with pytest.raises(InputError) as refused:
        action(*arguments)
    text = str(refused.value)
    assert "\n" not in text
    return text


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    optimizer: Literal["sgd", "adam"] = draw(st.sampled_from(["sgd", "adam"]))
    momentum = draw(st.floats(0, 0.99))
    return Recipe(
        epochs=draw(st.integers(1, 300)),
        batch_size=draw(st.integers(2, 4096)),
        optimizer=optimizer,
        lr=draw(st.floats(1e-9, 1e3)),
        momentum=momentum,
        nesterov=draw(st.booleans()) and optimizer == "sgd" and momentum > 0,
        weight_decay=draw(st.floats(0, 1)),
        milestones=tuple(draw(st.lists(st.integers(1, 300), max_size=4))),
        gamma=draw(st.floats(1e-3, 1)),
        warmup_epochs=draw(st.integers(0, 5)),
        flip=draw(st.booleans()),
        crop_padding=draw(st.integers(0, 8)),
        rotation_degrees=draw(st.floats(0, 180)),
    )


@pytest.mark.parametrize("name", scenario_names())
def test_every_preset_loads_under_its_name_and_with_models_that_exist(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.description
    task_of(scenario).check(scenario)


def test_the_papers_alpha_and_loss_are_the_defaults() -> None:
    assert (DIGITS.loss, DIGITS.distillation_weight, DIGITS.reduction) == ("hkd", 0.95, "batchmean")
    assert (DIGITS.checkpoint, DIGITS.precision) == ("last", "float32")


def test_a_scenario_of_ones_own_is_a_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'data = "digits"\nteacher = "digits-teacher"\nstudent = "digits-student"\nalpha = 0.5\n'
        "[recipe]\nepochs = 5\nmilestones = [2]\n",
        encoding="utf-8",
    )
    scenario = load_scenario(str(path))
    assert (scenario.name, scenario.alpha, scenario.recipe.epochs) == ("mine", 0.5, 5)
    assert scenario.recipe.milestones == (2,)
    assert scenario.teacher_recipe == Recipe()


def own_file(tmp_path: Path, *lines: str) -> str:
    """A scenario file for the digits with these lines, too."""
    path = tmp_path / "mine.toml"
    head = ('data = "digits"', 'teacher = "digits-teacher"', 'student = "digits-student"')
    path.write_text("\n".join((*head, *lines)), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("named", [(), ('recipe_name = "default"',)])
def test_epochs_in_a_file_move_the_default_milestones(named: tuple[str, ...], tmp_path: Path) -> None:
    """Else a training of 30 epochs would never see a drop of the learning rate."""
    file = own_file(tmp_path, *named, "[recipe]", "epochs = 30", "[teacher_recipe]", "epochs = 50", "milestones = [40]")
    scenario = load_scenario(file)
    assert scenario.recipe == Recipe(epochs=30, milestones=(12, 18, 24))
    assert scenario.teacher_recipe == Recipe(epochs=50, milestones=(40,))
    assert scenario.recipe_name == "default"
    as_option = scenario.changed({"recipe.epochs": 100}).changed({"recipe.epochs": 30})
    assert as_option.recipe == scenario.recipe


HALF = {"mean": (0.5,), "std": (0.25,)}


@pytest.mark.parametrize("recipe", ["default", "authors"])
def test_a_files_own_normalisation_stays_on_top_of_its_recipe(recipe: str, tmp_path: Path) -> None:
    table = ("[normalisation]", "mean = [0.5]", "std = [0.25]")
    scenario = load_scenario(own_file(tmp_path, f'recipe_name = "{recipe}"', *table))
    assert scenario.normalisation == Normalisation(**HALF)
    changed = ", but normalisation.mean, normalisation.std"
    assert scenario.recipe_name == f"{recipe}{changed if recipe == 'authors' else ''}"


@pytest.mark.parametrize("preset", scenario_names())
@pytest.mark.parametrize("recipe", ["default", "paper", "authors"])
def test_normalisation_can_be_set_whatever_there_was(preset: str, recipe: str) -> None:
    settings = parse_settings(["normalisation.mean=[0.5]", "normalisation.std=[0.25]", f"recipe_name={recipe}"])
    scenario = load_scenario(preset).changed(settings)
    assert scenario.normalisation == Normalisation(**HALF)
    named = load_scenario(preset).recipe_name if recipe == "default" else recipe  # default is the preset's own
    assert scenario.recipe_name == f"{named}, but normalisation.mean, normalisation.std"
    assert from_record(to_record(scenario)).normalisation == scenario.normalisation


@given(recipe=recipes(), teacher_recipe=recipes(), alpha=st.floats(0, 1), text=st.text(max_size=20))
def test_a_record_gives_the_scenario_back(recipe: Recipe, teacher_recipe: Recipe, alpha: float, text: str) -> None:
    scenario = Scenario(
        name=text,
        description=text,
        data="digits",
        teacher="digits-teacher",
        student="digits-student",
        recipe=recipe,
        teacher_recipe=teacher_recipe,
        alpha=alpha,
    )
    assert from_record(to_record(scenario)) == scenario
    assert "\n" not in to_record(scenario)


@pytest.mark.parametrize("name", scenario_names())
def test_the_record_of_a_preset_gives_it_back_with_the_alpha_that_it_uses(name: str) -> None:
    preset = load_scenario(name)
    assert from_record(to_record(preset)) == preset.settled()
    assert preset.settled().alpha == preset.distillation_weight


@pytest.mark.parametrize(
    ("loss", "alpha"), [("hkd", 0.95), ("cmc", 1), ("cmc-tau", 1), ("dml", 1), ("dml-tau", 1), ("ce", 0)]
)
def test_each_loss_has_an_alpha_of_its_own_unless_one_is_set(loss: str, alpha: float) -> None:
    """The paper's text mixes the cross-entropy into Hinton's loss only."""
    scenario = DIGITS.changed({"loss": loss})
    assert scenario.distillation_weight == alpha
    assert from_record(to_record(scenario)).alpha == alpha
    if loss != "ce":
        assert scenario.changed({"alpha": 0.5}).distillation_weight == 0.5
        assert DIGITS.changed({"alpha": 0.5}).changed({"loss": loss}).distillation_weight == 0.5


def test_a_scenario_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        DIGITS.alpha = 0.5
    with pytest.raises(ValueError, match="frozen"):
        DIGITS.recipe.lr = 0.5


def test_settings_change_what_they_name_and_nothing_else() -> None:
    changed = DIGITS.changed({"alpha": 0.5, "recipe.lr": 0.01, "recipe.milestones": [2, 4]})
    expected = DIGITS.model_dump()
    expected["alpha"] = 0.5
    expected["recipe"] |= {"lr": 0.01, "milestones": (2, 4)}
    expected["recipe_name"] = "default, but recipe.lr, recipe.milestones"
    assert changed.model_dump() == expected
    assert load_scenario("digits") == DIGITS


def test_setting_epochs_keeps_the_schedules_shape() -> None:
    recipe = Scenario(
        name="s", data="digits", teacher="t", student="s", recipe=Recipe(epochs=100, milestones=(40, 60, 80))
    )
    assert recipe.changed({"recipe.epochs": 200}).recipe.milestones == (80, 120, 160)
    assert recipe.changed({"recipe.epochs": 10}).recipe.milestones == (4, 6, 8)
    assert recipe.changed({"recipe.epochs": 100}) == recipe
    assert recipe.changed({"recipe.epochs": 10}).teacher_recipe == recipe.teacher_recipe


@given(recipe=recipes(), epochs=st.integers(1, 1000))
def test_scaling_moves_each_milestone_in_proportion(recipe: Recipe, epochs: int) -> None:
    scaled = DIGITS.model_copy(update={"recipe": recipe}).changed({"recipe.epochs": epochs}).recipe
    assert scaled.epochs == epochs
    for before, after in zip(recipe.milestones, scaled.milestones, strict=True):
        assert after >= 1
        assert abs(after - before * epochs / recipe.epochs) <= 1
    assert scaled.model_copy(update={"epochs": recipe.epochs, "milestones": recipe.milestones}) == recipe


def test_a_milestone_that_is_set_stays_as_it_was_set() -> None:
    """``--set`` options may come in any order: what is said of milestones is not scaled away by ``epochs``."""
    settings = {"recipe.epochs": 6, "recipe.milestones": [3, 4]}
    for ordered in (settings, dict(reversed(settings.items()))):
        assert DIGITS.changed(ordered).recipe.milestones == (3, 4)


@pytest.mark.parametrize(
    ("pair", "key", "value"),
    [
        ("recipe.lr=0.05", "recipe.lr", 0.05),
        ("recipe.epochs=3", "recipe.epochs", 3),
        ("recipe.flip=true", "recipe.flip", True),
        ("recipe.milestones=[3, 5]", "recipe.milestones", [3, 5]),
        ("student=mobilenetv2", "student", "mobilenetv2"),
        ('student="mobilenetv2"', "student", "mobilenetv2"),
        ("data=a=b", "data", "a=b"),
        ("description=", "description", ""),
    ],
)
def test_a_setting_is_read_as_toml_or_as_a_plain_word(pair: str, key: str, value: object) -> None:
    assert parse_settings([pair]) == {key: value}


@pytest.mark.parametrize("pair", ["recipe.lr", "=0.05", ""])
def test_a_setting_without_key_or_value_is_refused(pair: str) -> None:
    text = refusal(parse_settings, [pair])
    assert "key=value" in text
    assert repr(pair) in text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"alpha": 1.5}, ["'digits'", "alpha", "1", "1.5"]),
        ({"alpha": float("nan")}, ["alpha", "nan"]),
        ({"alpha": "high"}, ["alpha", "number", "'high'"]),
        ({"recipe.lr": 0}, ["recipe.lr", "greater than 0", "0"]),
        ({"recipe.lr": float("inf")}, ["recipe.lr", "finite", "inf"]),
        ({"recipe.epochs": 0}, ["recipe.epochs", "1", "got 0"]),
        ({"recipe.epochs": 2.5}, ["recipe.epochs", "integer", "2.5"]),
        ({"recipe.batch_size": 1}, ["recipe.batch_size", "2", "got 1"]),
        ({"recipe.milestones": [3, 0]}, ["recipe.milestones", "got 0"]),
        ({"recipe.optimizer": "sdg"}, ["recipe.optimizer", "'sgd'", "'adam'", "'sdg'"]),
        ({"recipe.momentum": 1}, ["recipe.momentum", "less than 1"]),
        ({"recipe.rotation_degrees": 200}, ["recipe.rotation_degrees", "180", "200"]),
        ({"recipe.nesterov": True, "recipe.momentum": 0}, ["recipe", "nesterov", "momentum > 0"]),
        ({"loss": "hdk"}, ["loss", "'hkd'", "'cmc-tau'", "'hdk'"]),
        ({"loss": "ce", "alpha": 0.5}, ["loss 'ce'", "alpha", "left out", "got 0.5"]),
        ({"recipe_name": "paper2"}, ["recipe 'paper2'", "did you mean 'paper'"]),
        ({"reduction": "mean"}, ["reduction", "'batchmean'", "'classmean'", "'mean'"]),
        ({"precision": "float16"}, ["precision", "'float32'", "'bfloat16'", "'float16'"]),
        ({"checkpoint": "first"}, ["checkpoint", "'last'", "'best'", "'first'"]),
        ({"validation_fraction": 0}, ["validation_fraction", "greater than 0"]),
        ({"equivalence_margin": 0}, ["equivalence_margin", "greater than 0"]),
        ({"train_limit": -5}, ["train_limit", "1", "-5"]),
        ({"split_seed": -1}, ["split_seed", "0", "-1"]),
        ({"normalisation.mean": [0.5]}, ["normalisation.std", "required"]),
        ({"normalisation.mean": [0.5], "normalisation.std": [0]}, ["normalisation.std", "greater than 0"]),
        ({"normalisation.maen": [0.5]}, ["did you mean 'normalisation.mean'"]),
        ({"normalisation": {"mean": [0.5], "std": [0.2]}}, ["'normalisation'", "did you mean 'normalisation."]),
        ({"alhpa": 0.5}, ["'alhpa'", "did you mean 'alpha'", "recipe.lr"]),
        ({"recipee.lr": 0.5}, ["'recipee.lr'", "did you mean 'recipe.lr'"]),
        ({"recipe": 5}, ["'recipe'", "recipe.epochs"]),
        ({"alpha.lr": 5}, ["'alpha.lr'", "alpha"]),
    ],
    ids=lambda case: "-".join(case) if isinstance(case, dict) else "",
)
def test_a_bad_setting_names_the_field_the_value_and_the_choice(settings: dict[str, Any], words: list[str]) -> None:
    text = refusal(DIGITS.changed, settings)
    assert [word for word in words if word not in text] == []


def test_a_misspelt_field_of_a_recipe_gets_the_nearest_with_its_recipe() -> None:
    assert "did you mean 'recipe.lr'" in refusal(DIGITS.changed, {"recipe.lrr": 0.5})


def test_a_bad_setting_is_refused_whatever_else_is_set() -> None:
    """Scaling a recipe to other epochs must not be the first to trip over a bad value in it."""
    for settings in ({"recipe.lr": -1, "recipe.epochs": 5}, {"recipe.epochs": 5, "recipe.lr": -1}):
        text = refusal(DIGITS.changed, settings)
        assert "recipe.lr" in text
        assert "-1" in text


def test_an_unknown_scenario_gets_the_nearest_name() -> None:
    text = refusal(load_scenario, "digts")
    assert "unknown scenario 'digts'; did you mean 'digits'" in text
    assert "images" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("data = ", ["mine.toml"]),
        ('data = "digits"', ["mine.toml", "teacher", "required"]),
        ('data = "digits"\nteacher = "a"\nstudent = "b"\nalhpa = 1', ["mine.toml", "'alhpa'", "did you mean 'alpha'"]),
        (
            'data = "digits"\nteacher = "a"\nstudent = "b"\n[recipe]\nepoch = 1',
            ["mine.toml", "'recipe.epoch'", "did you mean 'recipe.epochs'"],
        ),
        ('data = "digits"\nteacher = "a"\nstudent = "b"\nrecipe = 4', ["mine.toml", "recipe", "4"]),
        ("zzz = 1\n" + 'data = "digits"\nteacher = "a"\nstudent = "b"', ["'zzz'", "choices", "alpha"]),
        (None, ["mine.toml", "No such file"]),
    ],
)
def test_a_scenario_file_that_cannot_be_used_is_named_in_one_line(
    tmp_path: Path, content: str | None, words: list[str]
) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    text = refusal(load_scenario, str(path))
    assert [word for word in words if word not in text] == []


def test_columns_that_nobody_named_leave_a_scenario_as_it_was_recorded_before() -> None:
    plain = load_scenario("images")
    assert not {"image_column", "label_column"} & json.loads(to_record(plain)).keys()
    chosen = plain.changed({"label_column": "fine_label"})
    assert from_record(to_record(chosen)).label_column == "fine_label"
    assert from_record(to_record(plain)).label_column is None
