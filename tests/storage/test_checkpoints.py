"""Checkpoints are replaced whole, hold data and no code, and a teacher is kept by what made it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData, ImageSet
from tune_kd.meter.base import Meter
from tune_kd.storage import checkpoints
from tune_kd.training.teacher import Teacher, load_teacher, save_teacher, teacher_id, teacher_name, train_teacher

STATE: dict[str, Any] = {
    "weights": {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3, dtype=torch.int64)},
    "epoch": 4,
    "accuracy": float("-inf"),
    "name": "τ",
    "nothing": None,
}


class Unpicklable:
    def __reduce__(self) -> str:
        raise pickle.PicklingError("this cannot be saved")


class Malicious:
    """What it would do when it is loaded: leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_gives_back_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "trial.pt"
    checkpoints.save(path, STATE)
    found = checkpoints.load(path)
    assert found is not None
    weights = found.pop("weights")
    assert found == {name: value for name, value in STATE.items() if name != "weights"}
    assert torch.equal(weights["a"], STATE["weights"]["a"])
    assert torch.equal(weights["b"], STATE["weights"]["b"])


def test_where_there_is_no_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert checkpoints.load(tmp_path / "trial.pt") is None


def test_a_checkpoint_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "trial.pt"
    for epoch in (1, 2):
        checkpoints.save(path, {"epoch": epoch})
    assert checkpoints.load(path) == {"epoch": 2}
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_save_leaves_the_old_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "trial.pt"
    checkpoints.save(path, {"epoch": 1})
    with pytest.raises(pickle.PicklingError, match="this cannot be saved"):
        checkpoints.save(path, {"big": torch.zeros(1000), "broken": Unpicklable()})
    assert checkpoints.load(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_keeps_the_whole_file_that_it_opened(tmp_path: Path) -> None:
    path = tmp_path / "trial.pt"
    checkpoints.save(path, {"epoch": 1})
    with path.open("rb") as reader:
        checkpoints.save(path, {"epoch": 2})
        assert torch.load(reader, weights_only=True) == {"epoch": 1}


def test_loading_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    path, trace = tmp_path / "trial.pt", tmp_path / "trace"
    torch.save({"epoch": Malicious(trace)}, path)
    with pytest.raises(pickle.UnpicklingError):
        checkpoints.load(path)
    assert not trace.exists()


# The teacher


def test_the_same_scenario_trains_the_same_teacher_bit_for_bit(
    teacher: Teacher, scenario: Scenario, digits: ImageData, meter: Callable[..., Meter]
) -> None:
    again = train_teacher(scenario, digits, device=torch.device("cpu"), meter=meter())
    assert all(torch.equal(again.weights[name], teacher.weights[name]) for name in teacher.weights)
    assert (again.val_score, again.test_score) == (teacher.val_score, teacher.test_score)


@pytest.mark.parametrize("images", [64, 65])
def test_a_teachers_flops_are_those_of_the_images_that_it_was_trained_on(
    images: int, scenario: Scenario, digits: ImageData, meter: Callable[..., Meter]
) -> None:
    """A trailing batch of one image is not trained on: 65 images in batches of 64 are 64."""
    part = ImageSet(images=digits.train.images[:images], labels=digits.train.labels[:images])
    small = scenario.changed({"teacher_recipe.epochs": 3, "teacher_recipe.batch_size": 64})
    trained = train_teacher(small, replace(digits, train=part), device=torch.device("cpu"), meter=meter())
    # Multiply-accumulates of the digits' teacher for an 8×8 image, by hand: two convolutions, two linear layers.
    first = 64 * 9 * 32
    macs = first + 16 * 9 * 32 * 64 + 256 * 222 + 222 * 10
    assert trained.flops == 2 * (3 * macs - first) * 64 * 3


def test_a_kept_teacher_is_the_one_that_was_trained(teacher: Teacher, tmp_path: Path) -> None:
    path = tmp_path / teacher_name(teacher.teacher_id)
    assert load_teacher(path) is None
    save_teacher(path, teacher)
    found = load_teacher(path)
    assert found is not None
    assert replace(found, weights={}) == replace(teacher, weights={})
    assert found.weights.keys() == teacher.weights.keys()
    assert all(torch.equal(found.weights[name], teacher.weights[name]) for name in teacher.weights)


def test_the_teacher_comes_frozen_and_in_evaluation_mode(
    teacher: Teacher, scenario: Scenario, digits: ImageData
) -> None:
    network = teacher.network(scenario, digits)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_teacher_is_known_by_what_makes_it(scenario: Scenario, digits: ImageData) -> None:
    identity = teacher_id(scenario, digits)
    assert identity == teacher_id(scenario, digits)
    makes: list[dict[str, Any]] = [
        {"teacher": "digits-student"},
        {"teacher_seed": 1},
        {"teacher_recipe.lr": 0.04},
        {"teacher_recipe.epochs": 3},
        {"precision": "bfloat16"},
    ]
    others = [teacher_id(scenario.changed(settings), digits) for settings in makes]
    pixels = digits.train.images.copy()
    pixels[0, 0, 0, 0] ^= 1
    others.append(teacher_id(scenario, replace(digits, train=ImageSet(images=pixels, labels=digits.train.labels))))
    assert len({identity, *others}) == 1 + len(others)


@pytest.mark.parametrize(
    "settings",
    [{"student": "mobilenetv2"}, {"recipe.lr": 0.3}, {"alpha": 0.5}, {"checkpoint": "best"}, {"name": "other"}],
    ids=lambda settings: "-".join(settings),
)
def test_what_does_not_make_the_teacher_does_not_train_it_again(
    settings: dict[str, Any], scenario: Scenario, digits: ImageData
) -> None:
    assert teacher_id(scenario.changed(settings), digits) == teacher_id(scenario, digits)
