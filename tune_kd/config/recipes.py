"""Named recipes: the paper's text and its code, each complete; ``docs/recipes.md`` has them side by side.

A recipe settles how teacher and student are trained, the KL term's reduction, which epoch's weights count and, where
its source gives them, the constants that images are normalised by. ``default`` is the scenario's own.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tune_kd.errors import unknown

SETTLED = ("recipe", "teacher_recipe", "reduction", "checkpoint", "normalisation")
"""The scenario's fields that a recipe settles."""


class NamedRecipe(NamedTuple):
    """How ``training`` (the fields of :class:`tune_kd.config.training.Recipe`) and ``loss`` (other fields) are done.

    ``by_data`` has what is different for one of the paper's data sets, by a part of its name, ``by_task`` for another
    task than classification, whatever its data: of the training of both networks, and other fields, the teacher's
    training and the networks themselves among them.
    """

    description: str
    training: dict[str, Any]
    loss: dict[str, Any]
    by_data: dict[str, tuple[dict[str, Any], dict[str, Any]]]
    by_task: dict[str, tuple[dict[str, Any], dict[str, Any]]]


_IN_COMMON = {
    "epochs": 100,
    "batch_size": 128,  # the text varies it and does not say
    "lr": 0.1,
    "nesterov": False,
    "gamma": 0.2,
    "flip": True,
    "crop_padding": 4,
    "rotation_degrees": 15.0,
}
_TEXT = {"optimizer": "adam", "momentum": 0.0, "weight_decay": 0.0, "milestones": (40, 60, 80), "warmup_epochs": 0}
_CODE = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-4, "milestones": (30, 60, 80), "warmup_epochs": 1}

# The code normalises CIFAR-10, too, by the constants of CIFAR-100.
_CIFAR_100 = {"mean": (0.5071, 0.4865, 0.4409), "std": (0.2673, 0.2564, 0.2762)}
_TINY_IMAGENET = {"mean": (0.4802, 0.4481, 0.3975), "std": (0.2302, 0.2265, 0.2262)}
_TINY_AUGMENTATION = {"rotation_degrees": 20.0, "crop_padding": 0}

# Of detection. The text's rotation has no box that fits, so it is left out; flip and crop are torchvision's.
_NO_FLIP = {"flip": False, "crop_padding": 0, "rotation_degrees": 0.0}
_PORT = {"epochs": 70, "milestones": (120, 180), "gamma": 0.1, "lr": 1.25e-4, "warmup_epochs": 0, **_NO_FLIP}
_PORT_STUDENT = {**_PORT, "optimizer": "adam", "momentum": 0.0, "weight_decay": 0.0}
_PORT_TEACHER = {**_PORT, "batch_size": 128, "nesterov": False, "optimizer": "sgd", "momentum": 0.9}
_PORT_LOSS = {
    "teacher_recipe": {**_PORT_TEACHER, "weight_decay": 5e-4},
    "teacher": "ssd300-vgg16-3000",
    "student": "ssdlite-mobilenetv2-3000",
    "augmentation": "ssd",
    "background_weight": 1.5,
    "bounded_regression": True,
    "reduction": "batchmean",
    "checkpoint": "last",
    "normalisation": {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3},
}

RECIPES: dict[str, NamedRecipe | None] = {
    "default": None,
    "paper": NamedRecipe(
        description="the paper's text: Adam at learning rate 0.1, drops at 40, 60 and 80, KL summed over classes",
        training={**_IN_COMMON, **_TEXT},
        loss={"reduction": "batchmean", "checkpoint": "last", "normalisation": None},
        by_data={},
        by_task={"detection": ({"epochs": 70, **_NO_FLIP}, {"augmentation": "ssdlite"})},
    ),
    "authors": NamedRecipe(
        description="the authors' code: SGD, one epoch of warm-up, drops at 30, 60 and 80, KL averaged over classes",
        training={**_IN_COMMON, **_CODE},
        # The code hands in the best epoch on the test set; nothing here chooses by it, so the best on validation does.
        loss={"reduction": "classmean", "checkpoint": "best", "normalisation": None},
        by_data={
            "cifar": ({}, {"normalisation": _CIFAR_100}),
            "tinyimagenet": (_TINY_AUGMENTATION, {"normalisation": _TINY_IMAGENET}),
        },
        by_task={"detection": (_PORT_STUDENT, _PORT_LOSS)},  # the code that theirs names for it
    ),
}


def settled_by(name: str, data: str, scenario: str = "", task: str = "classification") -> dict[str, Any]:
    """The fields of a scenario on ``data`` (a set's name or a folder) under the recipe; none for ``default``.

    A folder may be called anything: one whose name says nothing is of the data set that the scenario's name says.
    Raises InputError for a name that is not in :data:`RECIPES`.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    recipe = RECIPES[name]
    if recipe is None:
        return {}
    training, loss = recipe.by_task.get(task) or _of_data(recipe, data, scenario)
    trained = {**recipe.training, **training}
    # A copy through and through: what a scenario sets on top must not become the recipe's.
    return copy.deepcopy({"recipe": trained, "teacher_recipe": dict(trained), **recipe.loss, **loss})


def _of_data(recipe: NamedRecipe, data: str, scenario: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the recipe has for the data set alone."""
    folder = Path(data)
    called = (folder.name, scenario) if folder.is_absolute() else (folder.name,)
    plain = [re.sub(r"[^a-z0-9]", "", text.lower()) for text in called]
    found = (own for text in plain for part, own in recipe.by_data.items() if part in text)
    return next(found, ({}, {}))


def name_after(name: str, changed: Iterable[str]) -> str:
    """What a recipe is called once some fields are set on top: ``authors, but recipe.lr``."""
    base, before = base_and_changed(name)
    fields = sorted({*before, *changed})
    return f"{base}, but {', '.join(fields)}" if fields else base


def base_and_changed(name: str) -> tuple[str, list[str]]:
    """The recipe, and the fields that were set on top of it, in what :func:`name_after` calls them."""
    base, _, fields = name.partition(", but ")
    return base, fields.split(", ") if fields else []
