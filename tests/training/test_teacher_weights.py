"""A teacher from a file of one's own: what is accepted, what its record says, and what is refused in one line."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.errors import InputError
from tune_kd.meter.base import Meter
from tune_kd.meter.energy import Energy
from tune_kd.training.teacher import Teacher, check_networks, load_teacher, obtain_teacher, save_teacher, teacher_id
from tune_kd.training.teacher_weights import read_weights

CPU = torch.device("cpu")
Weights = Mapping[str, Tensor]


def prefixed(weights: Weights) -> dict[str, Tensor]:
    return {f"module.{key}": tensor for key, tensor in weights.items()}


def with_checkpoint(scenario: Scenario, path: Path) -> Scenario:
    return scenario.changed({"teacher_checkpoint": str(path)})


def refusal(action: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(InputError) as refused:
        action(*arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


FORMS: dict[str, Callable[[Weights], Any]] = {
    "plain": dict,
    "ordered": OrderedDict,
    "of DataParallel": prefixed,
    "state_dict": lambda weights: {"epoch": 3, "state_dict": dict(weights), "best": 0.9},
    "model": lambda weights: {"model": prefixed(weights), "optimizer": {"lr": 0.1}},
    "a teacher in the cache": lambda weights: {"teacher_id": "0c07", "weights": dict(weights), "val_score": 0.9},
    "before step counters": lambda weights: {k: v for k, v in weights.items() if "num_batches" not in k},
    "half precision": lambda weights: {k: v.half() if v.is_floating_point() else v for k, v in weights.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_weights_is_a_teacher_with_its_accuracy_and_no_known_cost(
    form: str,
    scenario: Scenario,
    digits: ImageData,
    teacher: Teacher,
    meter: Callable[..., Meter],
    tmp_path: Path,
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(FORMS[form](teacher.weights), path)
    theirs = with_checkpoint(scenario, path)
    check_networks(theirs, digits)
    loaded = obtain_teacher(theirs, digits, device=CPU, meter=meter([Energy(cpu_j=5.0, method="model")]))
    assert loaded.val_score == pytest.approx(teacher.val_score, abs=0.02 if form == "half precision" else 0)
    assert loaded.test_score == pytest.approx(teacher.test_score, abs=0.02 if form == "half precision" else 0)
    assert (loaded.flops, loaded.energy_j, loaded.energy_method, loaded.duration_s) == (None, None, None, None)
    save_teacher(tmp_path / "kept.pt", loaded)
    kept = load_teacher(tmp_path / "kept.pt")
    assert kept is not None
    assert kept.flops is None
    if form != "half precision":
        image = torch.rand(2, digits.channels, digits.image_size, digits.image_size)
        first, second = (each.network(scenario, digits)(image) for each in (teacher, kept))
        assert torch.equal(first, second)


def test_a_teacher_has_the_figures_of_its_test_under_the_names_that_a_trial_has_them(
    scenario: Scenario, digits: ImageData, teacher: Teacher
) -> None:
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (digits.mean, digits.std))
    images = (torch.from_numpy(digits.test.images) / 255 - mean) / std
    with torch.inference_mode():
        predictions = teacher.network(scenario, digits)(images).argmax(dim=1).numpy()
    labels = digits.test.labels
    recalls = [(predictions[labels == label] == label).mean() for label in range(10)]
    assert teacher.test_metrics is not None
    assert teacher.test_metrics["recall_macro"] == pytest.approx(sum(recalls) / 10)
    assert set(teacher.test_metrics) == {
        *("precision_macro", "recall_macro", "specificity_macro", "f1_macro", "kappa", "prevalence"),
        *("confusion", "per_class", "ece", "reliability", "example_logits", "example_maps", "example_layer"),
    }


def test_without_a_file_the_teacher_is_trained(
    scenario: Scenario, digits: ImageData, teacher: Teacher, meter: Callable[..., Meter]
) -> None:
    obtained = obtain_teacher(scenario, digits, device=CPU, meter=meter())
    assert obtained.teacher_id == teacher.teacher_id
    assert all(torch.equal(obtained.weights[key], tensor) for key, tensor in teacher.weights.items())


def test_the_content_of_the_file_makes_the_id_and_not_its_name_or_recipe(
    scenario: Scenario, digits: ImageData, teacher: Teacher, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{number}.pt" for number in range(3)]
    torch.save(teacher.weights, paths[0])
    paths[1].write_bytes(paths[0].read_bytes())
    torch.save(FORMS["state_dict"](teacher.weights), paths[2])
    first, same, other = (teacher_id(with_checkpoint(scenario, path), digits) for path in paths)
    assert first == same
    assert len({first, other, teacher_id(scenario, digits)}) == 3
    settings = {"teacher_recipe.lr": 0.2, "teacher_seed": 5}
    assert teacher_id(with_checkpoint(scenario, paths[0]).changed(settings), digits) == first
    assert teacher_id(scenario.changed(settings), digits) != teacher_id(scenario, digits)


def without(weights: Weights, *keys: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in weights.items() if key not in keys}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weights: without(weights, "0.weight", "9.bias"), ["does not fit digits-teacher", "missing: 0.weight"]),
        (lambda weights: {**weights, "head.bias": torch.zeros(3)}, ["unexpected: head.bias"]),
        (lambda weights: {**weights, "11.bias": torch.zeros(3)}, ["of another shape: 11.bias (3,), not (10,)"]),
        (
            lambda weights: {f"backbone.{key}": tensor for key, tensor in weights.items()},
            ["missing: 0.weight", "unexpected: backbone.0.weight", "more"],
        ),
    ],
    ids=["missing", "unexpected", "shape", "another network"],
)
def test_weights_that_do_not_fit_are_refused_with_the_keys_that_do_not(
    change: Callable[[Weights], Any],
    words: list[str],
    scenario: Scenario,
    digits: ImageData,
    teacher: Teacher,
    tmp_path: Path,
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(change(teacher.weights), path)
    text = refusal(check_networks, with_checkpoint(scenario, path), digits)
    assert [word for word in [str(path), *words] if word not in text] == []
    assert len(text) < 500


class Anything:
    """What only a reader that runs code can restore."""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["no teacher checkpoint"]),
        (b"no weights at all", ["without running code", "model.state_dict()"]),
        (pickle.dumps(Anything()), ["without running code"]),
        ({"epoch": 3, "lr": 0.1, "best": 0.5, "seed": 1}, ["no state_dict", "epoch, lr, best and 1 more"]),
        ([1, 2], ["no state_dict", "got list"]),
        ({}, ["no state_dict"]),
    ],
    ids=["no file", "text", "code", "no weights", "list", "empty"],
)
def test_a_file_without_weights_is_refused_in_one_line(content: Any, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    text = refusal(read_weights, path)
    assert [word for word in [str(path), *words] if word not in text] == []
