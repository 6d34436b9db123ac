"""What is trained: data, teacher, student, loss and recipe. Presets are the TOML files in ``scenarios/``."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from tune_kd.config import recipes
from tune_kd.config.fields import Count, Fraction, Frozen, NotNegative
from tune_kd.config.quantization import Quantization
from tune_kd.config.synthesis import Synthesis
from tune_kd.config.training import Normalisation, Recipe
from tune_kd.errors import InputError, unknown

PRESETS = Path(__file__).parent / "scenarios"

ALPHA = {"hkd": 0.95, "cmc": 1.0, "cmc-tau": 1.0, "dml": 1.0, "dml-tau": 1.0, "ce": 0.0}
"""By loss, the weight of its distillation term in the paper's text: what a scenario without alpha has."""


OF_DETECTION = ("augmentation", "distilled_boxes", "background_weight", "bounded_regression")
"""Fields that classification does not have."""

ADDED_LATER = ("task", "compile", "image_column", "label_column", "synthesis", "quantization", *OF_DETECTION)
"""Fields that older records lack: at its default, such a field is not recorded, so that the scenario stays the same."""


class Scenario(Frozen):
    """What is trained, in full: with the seeds and the package versions this repeats a run."""

    name: str
    description: str = ""
    task: str = "classification"  # what is learned: a name of tune_kd.tasks.catalogue
    data: str  # "digits", an official set by its name ("cifar10"), or a folder
    image_column: str | None = None  # of Parquet files; None: image, else the only one with images
    label_column: str | None = None  # of Parquet files; None: label, else the only one with labels
    image_size: Count | None = None  # None: as the images are
    train_limit: Count | None = None
    test_limit: Count | None = None
    skip_bad_images: bool = False
    normalisation: Normalisation | None = None  # None: measured on the training part
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    split_seed: Annotated[int, Field(ge=0)] = 0
    teacher: str
    teacher_checkpoint: str | None = None  # a file with the teacher's weights; None: it is trained
    teacher_seed: Annotated[int, Field(ge=0)] = 0
    teacher_recipe: Recipe = Recipe()
    student: str
    recipe: Recipe = Recipe()
    recipe_name: str = "default"  # whose recipe: settles the fields of recipes.SETTLED
    synthesis: Synthesis | None = None  # None: students are trained on the training images
    quantization: Quantization | None = None  # None: students stay in float32
    augmentation: Literal["none", "ssd", "ssdlite"] = "none"  # of images with boxes, by torchvision's name of it
    distilled_boxes: Literal["mined", "positives", "all"] = "mined"  # whose softmaxes the distillation term is of
    background_weight: NotNegative = 1.0  # in that term, of a box without an object
    bounded_regression: Annotated[bool, Field(strict=True)] = False  # Chen et al.'s, beside the smooth L1 distance
    loss: Literal["hkd", "cmc", "cmc-tau", "dml", "dml-tau", "ce"] = "hkd"
    alpha: Fraction | None = None  # the weight of the distillation term; None: the loss's own
    reduction: Literal["batchmean", "classmean"] = "batchmean"  # of a KL term
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: Annotated[bool, Field(strict=True)] = False  # the student in training and the teacher that it asks
    checkpoint: Literal["last", "best"] = "last"  # which epoch's weights a trial hands in
    equivalence_margin: Annotated[float, Field(gt=0, lt=1)] = 0.003  # a fraction of accuracy, fixed beforehand

    @model_validator(mode="after")
    def _cross_entropy_has_no_alpha(self) -> Scenario:
        if self.loss == "ce" and self.alpha:
            raise ValueError(f"loss 'ce' has no distillation term, so alpha must be left out, got {self.alpha:g}")
        return self

    @model_validator(mode="after")
    def _fields_fit_the_task(self) -> Scenario:
        given = [name for name in OF_DETECTION if getattr(self, name) != Scenario.model_fields[name].default]
        if given and self.task == "classification":
            raise ValueError(
                f"{given[0]} is of task 'detection', so task 'classification' leaves it out, got "
                f"{getattr(self, given[0])!r}"
            )
        if self.synthesis is not None and self.task != "classification":
            raise ValueError(f"synthesis is of task 'classification', so task {self.task!r} leaves it out")
        if self.quantization is not None and self.task != "classification":
            raise ValueError(f"quantization is of task 'classification', so task {self.task!r} leaves it out")
        if self.quantization is not None and self.precision != "float32":
            raise ValueError(f"quantization starts from float32, so precision must be that, got {self.precision!r}")
        if self.bounded_regression and self.loss == "ce":
            raise ValueError("bounded_regression asks the teacher, which loss 'ce' does not have; leave it out")
        return self

    @property
    def distillation_weight(self) -> float:
        """α: the scenario's own, else that of the loss. Synthesised images have no labels to weigh against: 1."""
        if self.alpha is not None:
            return self.alpha
        return 1.0 if self.synthesis is not None and self.loss != "ce" else ALPHA[self.loss]

    @property
    def trial_epochs(self) -> int:
        """The length of a trial: the recipe's epochs, then those of quantization-aware training."""
        if self.quantization is None:
            return self.recipe.epochs
        return self.recipe.epochs + self.quantization.epochs_after(self.recipe)

    def settled(self) -> Scenario:
        """The same with numbers for what follows from other fields, as α: what is planned and recorded."""
        quantization = None if self.quantization is None else self.quantization.settled(self.recipe)
        return self.model_copy(update={"alpha": self.distillation_weight, "quantization": quantization})

    def by_name(self) -> dict[str, Any]:
        """The fields by their names as ``--set`` takes them."""
        return _dotted(self.model_dump())

    def changed(self, settings: Mapping[str, Any]) -> Scenario:
        """This scenario with some fields set; ``recipe.lr`` reaches into a recipe.

        ``recipe_name`` puts a named recipe in place first, and says afterwards what was set on top of it.
        ``recipe.epochs`` scales its milestones in proportion, unless they are set, too.
        Raises InputError, naming the field, what was given and what would be right.
        """
        fields, settings = self.model_dump(), dict(settings)
        self._check_synthesis(settings)
        named = settings.pop("recipe_name", "")
        about = (settings.get(name, getattr(self, name)) for name in ("data", "name", "task"))
        settled = recipes.settled_by(named or recipes.base_and_changed(self.recipe_name)[0], *about)
        if named and settled:
            fields |= {**settled, "recipe_name": named}
        before = _dotted(fields)
        for key, value in sorted(settings.items(), key=lambda item: not item[0].endswith(".epochs")):
            table, name = _reach(fields, key)
            if name == "epochs" and "milestones" in table and type(value) is int:
                table["milestones"] = _moved(table["milestones"], of=table["epochs"], to=value)
            table[name] = value
        scenario = _validated(fields, f"scenario {self.name!r}")
        after = _dotted(scenario.model_dump())
        settles = {*recipes.SETTLED, *settled}
        on_top = [key for key in settings if key.split(".")[0] in settles and after[key] != before.get(key)]
        return scenario.model_copy(update={"recipe_name": recipes.name_after(scenario.recipe_name, on_top)})

    def _check_synthesis(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings of a synthesis that nobody asked for: a scenario has one once it has a method."""
        given = [key for key in settings if key.startswith("synthesis.")]
        if given and self.synthesis is None and "synthesis.method" not in given:
            raise InputError(
                f"scenario {self.name!r} synthesises no images, so it has no {given[0]}; "
                f"set synthesis.method, too, or take --scenario digits-data-free"
            )


def scenario_names() -> list[str]:
    """The names of the presets."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_scenario(name: str) -> Scenario:
    """A preset by its name, or the scenario of a TOML file. Raises InputError.

    A file that names a recipe has that one, with its own fields on top. Epochs without milestones move the default ones
    in proportion.
    """
    path = PRESETS / f"{name}.toml"
    if name.endswith(".toml"):
        path = Path(name)
    elif not path.is_file():
        raise unknown("scenario", name, scenario_names())
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the scenario file {path}: {error}") from error
    scenario = _validated({"name": path.stem, **fields, **_with_milestones(fields)}, f"scenario file {path}")
    if "recipe_name" not in fields:
        return scenario
    settled = {*recipes.SETTLED, *recipes.settled_by(scenario.recipe_name, scenario.data, scenario.name, scenario.task)}
    own = _dotted({name: value for name, value in fields.items() if name in settled})
    return scenario.changed({"recipe_name": scenario.recipe_name, **own})


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """``key=value`` words as settings; a value is TOML (``0.1``, ``true``, ``[3, 5]``), else a plain string."""
    settings = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not (key and equals):
            raise InputError(f"--set takes key=value, got {pair!r}; for example --set recipe.lr=0.05")
        try:
            settings[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key] = text
    return settings


def to_record(scenario: Scenario) -> str:
    """The scenario, settled, as the JSON text that a record keeps."""
    fields = scenario.settled().model_dump(mode="json")
    absent = {name for name in ADDED_LATER if fields[name] == Scenario.model_fields[name].default}
    return json.dumps({name: value for name, value in fields.items() if name not in absent}, ensure_ascii=False)


def from_record(text: str) -> Scenario:
    """The inverse of :func:`to_record`."""
    return _validated(json.loads(text), "the recorded scenario")


def augmentation_of(scenario: Scenario) -> dict[str, str]:
    """The augmentation where there is one, as an ingredient of a hash: without it hashes stay as they were."""
    return {} if scenario.augmentation == "none" else {"boxes": scenario.augmentation}


def _with_milestones(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those recipes of a file that have epochs and no milestones, with the default ones for so many epochs."""
    usual, tables = Recipe(), {name: fields.get(name) for name in ("recipe", "teacher_recipe")}
    return {
        name: {**recipe, "milestones": _moved(usual.milestones, of=usual.epochs, to=recipe["epochs"])}
        for name, recipe in tables.items()
        if isinstance(recipe, dict) and "milestones" not in recipe and type(recipe.get("epochs")) is int
    }


def _moved(milestones: Sequence[int], *, of: int, to: int) -> list[int]:
    """The milestones ``of`` so many epochs in proportion ``to`` others."""
    return [max(1, round(at * to / of)) for at in milestones]


def _reach(fields: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """The table that holds the dotted ``key``, and its name there; tables that are not there yet are made."""
    choices = _settable()
    if key not in choices:
        raise unknown("scenario field", key, choices)
    *tables, name = key.split(".")
    for table in tables:
        fields[table] = fields.get(table) or {}
        fields = fields[table]
    return fields, name


@cache
def _settable(table: type[Frozen] = Scenario, prefix: str = "") -> frozenset[str]:
    """The names that ``--set`` takes: those of the fields of all tables."""
    names: set[str] = set()
    for name, field in table.model_fields.items():
        inner = next((kind for kind in _kinds(field.annotation) if issubclass(kind, Frozen)), None)
        names |= {prefix + name} if inner is None else _settable(inner, f"{prefix}{name}.")
    return frozenset(names)


def _kinds(annotation: object) -> list[type]:
    """The classes that a field may be of: both of ``Normalisation | None``."""
    return [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]


def _dotted(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The fields by their names as ``--set`` takes them: ``recipe.lr``."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= _dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _validated(fields: Mapping[str, Any], what: str) -> Scenario:
    try:
        return Scenario.model_validate(fields)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            names = sorted(_settable())
            close = difflib.get_close_matches(place, names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; choices: {', '.join(names)}"
            raise InputError(f"{what}: unknown field {place!r}{hint}") from error
        message = problem["msg"].removeprefix("Value error, ")
        # A rule over several fields says itself what was given.
        given = "" if isinstance(problem["input"], dict) else f", got {problem['input']!r}"
        where = f"{place}: " if place else ""
        raise InputError(f"{what}: {where}{message[0].lower() + message[1:]}{given}") from error


def scenario_sha256(scenario: Scenario) -> str:
    """By what runs of the same scenario are found: a hash of all of its fields."""
    return hashlib.sha256(to_record(scenario).encode()).hexdigest()
