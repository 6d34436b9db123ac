"""What a study trains and how it searches: the options of ``run`` and ``compare``, by their names there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tune_kd.errors import InputError

# By option, the field of the scenario that it sets.
SHORT_FOR_SET = {
    "data": "data",
    "image_column": "image_column",
    "label_column": "label_column",
    "train_limit": "train_limit",
    "skip_bad_images": "skip_bad_images",
    "teacher": "teacher",
    "teacher_checkpoint": "teacher_checkpoint",
    "student": "student",
    "recipe": "recipe_name",
    "epochs": "recipe.epochs",
    "teacher_epochs": "teacher_recipe.epochs",
    "batch_size": "recipe.batch_size",
    "synthesis": "synthesis.method",
    "validation": "synthesis.validation",
    "quantize": "quantization.bits",
    "loss": "loss",
    "alpha": "alpha",
    "reduction": "reduction",
    "precision": "precision",
    "compile": "compile",
}

OF_A_FLAG = {"quantize": 8}
"""What an option without a value sets, where that is not True."""


@dataclass(frozen=True, kw_only=True)
class Planning:
    """What is settled once a study is planned. None and False leave a field of the scenario as it is."""

    scenario: str | None = None  # a preset or a TOML file; None: digits, or images where data is given
    data: str | Path | None = None  # a folder of images
    image_column: str | None = None  # of Parquet files; None: image, else the only one of images
    label_column: str | None = None  # None: label, else the only one of labels
    train_limit: int | None = None
    skip_bad_images: bool = False
    teacher: str | None = None
    teacher_checkpoint: str | None = None
    student: str | None = None
    recipe: str | None = None
    epochs: int | None = None
    teacher_epochs: int | None = None
    batch_size: int | None = None
    synthesis: str | None = None  # train on images that this method makes out of the teacher
    validation: str | None = None  # then: real images, or synthetic ones
    quantize: bool = False  # to int8, by quantization-aware training after the recipe's epochs
    loss: str | None = None
    alpha: float | None = None
    reduction: str | None = None
    precision: str | None = None
    compile: bool = False
    set: Mapping[str, Any] | list[str] | None = None  # any field: {"recipe.lr": 0.05}, or ["recipe.lr=0.05"]
    settings: Mapping[str, Any] | None = None  # from Python another name of `set`
    space: str = "tau"
    budget: str = "20trials"  # a number with its unit: 20trials, 50Wh, 10min, 20trials-equivalent
    track: str = "recipe"  # recipe, budget or target
    target_accuracy: float | None = None  # of the target track: the validation accuracy at which a run stops
    replicates: int = 1
    seed: int = 0

    def fields(self) -> dict[str, Any]:
        """The fields of the scenario that were set, by ``set`` or by an option that is short for it.

        Raises InputError where one was set twice.
        """
        fields = fields_set(self.set, self.settings)
        for name, field in SHORT_FOR_SET.items():
            value = getattr(self, name)
            if value is None or value is False:
                continue
            if field in fields:
                raise InputError(f"{field} is set twice, by --set and by --{name.replace('_', '-')}; leave one out")
            fields[field] = str(Path(value).resolve()) if name == "data" else OF_A_FLAG.get(name, value)
        return fields


def fields_set(*given: Mapping[str, Any] | Sequence[str] | None) -> dict[str, Any]:
    """The fields of a scenario in mappings and in ``key=value`` words. Raises InputError for one in several of them."""
    from tune_kd.config.scenario import parse_settings

    fields: dict[str, Any] = {}
    for some in given:
        parsed = dict(some) if isinstance(some, Mapping) else parse_settings(some or ())
        if twice := sorted(fields.keys() & parsed.keys()):
            raise InputError(f"{twice[0]} is set twice, by set and by settings; leave one out")
        fields |= parsed
    return fields
