"""The options of the commands that train: what ``run`` and ``compare`` share, and what ``resume`` has of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

from tune_kd.cli.choices import LOSSES, RECIPES, TRACKS, one_of, scenario_presets, spaces
from tune_kd.cli.options import CACHE, CARBON, DATA_ROOT, METER, SEARCH, SHOWN, STORE, WHAT, WHERE, option
from tune_kd.errors import InputError

# By option, the field of the scenario that it sets.
SHORT_FOR_SET = {
    "image_column": "image_column",
    "label_column": "label_column",
    "skip_bad_images": "skip_bad_images",
    "teacher": "teacher",
    "teacher_checkpoint": "teacher_checkpoint",
    "student": "student",
    "recipe": "recipe_name",
    "epochs": "recipe.epochs",
    "batch_size": "recipe.batch_size",
    "loss": "loss",
    "alpha": "alpha",
    "reduction": "reduction",
    "precision": "precision",
    "compile": "compile",
}


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What is trained and how it is searched: settled once a study is planned."""

    scenario: Annotated[
        str | None,
        option(
            WHAT,
            "A preset or a file of your own.",
            "NAME|FILE.toml",
            default="digits; with --data: images",
            complete=scenario_presets,
        ),
    ] = None
    data: Annotated[
        str | None,
        option(WHAT, "A folder of images: ImageFolder layout, or Hugging Face Parquet files.", "DIR"),
    ] = None
    image_column: Annotated[
        str | None,
        option(WHAT, "Of Parquet files, the column of images.", "NAME", default="image, else the only one of images"),
    ] = None
    label_column: Annotated[
        str | None,
        option(WHAT, "Of Parquet files, the column of labels.", "NAME", default="label, else the only one of labels"),
    ] = None
    train_limit: Annotated[
        int | None, option(WHAT, "Train on a stratified part of so many images.", "N", default="all")
    ] = None
    skip_bad_images: Annotated[
        bool, option(WHAT, "Leave out images that cannot be decoded.", "", "--skip-bad-images")
    ] = False
    teacher: Annotated[
        str | None,
        option(WHAT, "The teacher's network: one of ours, timm:NAME or package.module:callable.", "MODEL"),
    ] = None
    teacher_checkpoint: Annotated[
        str | None, option(WHAT, "The teacher's weights, a state_dict.", "FILE", default="it is trained")
    ] = None
    student: Annotated[str | None, option(WHAT, "The student's network.", "MODEL")] = None
    recipe: Annotated[
        str | None,
        option(
            WHAT,
            "default: the scenario's own; paper: the paper's text; authors: its code.",
            "NAME",
            complete=one_of(RECIPES),
        ),
    ] = None
    epochs: Annotated[int | None, option(WHAT, "Epochs of a trial; milestones move in proportion.", "N")] = None
    batch_size: Annotated[int | None, option(WHAT, "Images of a student's batch.", "N")] = None
    loss: Annotated[
        str | None, option(WHAT, "hkd, cmc, cmc-tau, dml, dml-tau or ce.", "NAME", complete=one_of(LOSSES))
    ] = None
    alpha: Annotated[
        float | None, option(WHAT, "Weight of the distillation term, 0 to 1.", "X", default="hkd: 0.95, others: 1")
    ] = None
    reduction: Annotated[str | None, option(WHAT, "Of a KL term: batchmean or classmean.", "NAME")] = None
    precision: Annotated[str | None, option(WHAT, "float32 or bfloat16.", "NAME")] = None
    compile: Annotated[
        bool,
        option(
            WHAT,
            "Compile the networks: for long trials, since each worker's first is charged the minutes that it takes.",
            "",
            "--compile",
        ),
    ] = False
    set: Annotated[
        list[str] | None,
        option(WHAT, "Any field of the scenario, as in recipe.lr=0.05; repeat it for more.", "KEY=VALUE", "--set"),
    ] = None

    space: Annotated[
        str, option(SEARCH, "The search space: one of ours or a file.", "NAME|FILE.toml", complete=spaces)
    ] = "tau"
    budget: Annotated[
        str,
        option(
            SEARCH,
            "What a run may spend: 20trials, 400epochs, 3e15flops, 50Wh, 15g, 10min; 20trials-equivalent: energy, so "
            "many times what one trial with a constant τ is measured to use.",
            "AMOUNT",
        ),
    ] = "20trials"
    track: Annotated[
        str,
        option(
            SEARCH,
            "recipe: each policy's own number of trials; budget: spend it all; target: stop once one is good enough.",
            "NAME",
            complete=one_of(TRACKS),
        ),
    ] = "recipe"
    target_accuracy: Annotated[
        float | None, option(SEARCH, "Of the target track: the validation accuracy that is good enough, 0 to 1.", "X")
    ] = None
    replicates: Annotated[int, option(SEARCH, "Independent repeats, each with its own seed.", "N")] = 1
    seed: Annotated[int, option(SEARCH, "What all seeds come from.", "N")] = 0

    def settings(self) -> dict[str, Any]:
        """The fields of the scenario that were set, by ``--set`` or by an option that is short for it."""
        from tune_kd.scenario import parse_settings

        settings = parse_settings(self.set or [])
        for name, field in SHORT_FOR_SET.items():
            value = getattr(self, name)
            if value is None or value is False:
                continue
            if field in settings:
                raise InputError(f"{field} is set twice, by --set and by --{name.replace('_', '-')}; leave one out")
            settings[field] = value
        return settings

    def planning(self) -> dict[str, Any]:
        """The keywords of :func:`tune_kd.plan.plan_study`, with what is short for ``--set`` among the ``settings``."""
        names = (field.name for field in dataclasses.fields(PlanOptions))
        given = {name: getattr(self, name) for name in names if name not in {*SHORT_FOR_SET, "set"}}
        return {**given, "settings": self.settings()}

    def planned(self) -> list[str]:
        """The options that were given another value than their default."""
        fields = dataclasses.fields(PlanOptions)
        return [f"--{field.name.replace('_', '-')}" for field in fields if getattr(self, field.name) != field.default]


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions:
    """Where it runs, how it is metered and what is shown."""

    store: Annotated[str, option(WHERE, "Where the records go.", STORE)] = "./runs"
    cache: Annotated[
        str | None, option(WHERE, "Where teachers, decoded data and checkpoints live.", "DIR|URL", default=CACHE)
    ] = None
    data_root: Annotated[str | None, option(WHERE, DATA_ROOT, "DIR", default="in the cache")] = None
    address: Annotated[
        str | None, option(WHERE, "A running Ray cluster: auto or HOST:PORT.", "ADDRESS", default="a Ray of its own")
    ] = None
    cpus_per_trial: Annotated[float, option(WHERE, "CPUs that a trial reserves.", "X")] = 1
    gpus_per_trial: Annotated[
        float | None,
        option(WHERE, "GPUs that a trial reserves; a fraction shares one.", "X", default="1 where there is any"),
    ] = None
    max_concurrent: Annotated[int | None, option(WHERE, "Most trials at a time.", "N", default="as many as fit")] = None
    max_failures: Annotated[int, option(WHERE, "How often a trial that broke is tried again.", "N")] = 1
    train_teacher: Annotated[
        bool,
        option(
            WHERE, "Train the teacher, for its row in the tables, even if no policy asks it.", "", "--train-teacher"
        ),
    ] = False
    share_teacher: Annotated[
        bool | None,
        option(
            WHERE,
            "Ask the teacher once for all trials of a run, instead of in each of them.",
            "",
            "--share-teacher/--no-share-teacher",
            default="where there may be several",
        ),
    ] = None

    meter_period: Annotated[float, option(WHERE, "Seconds between two readings of a node's energy.", "S")] = 1.0

    cpu_watts: Annotated[
        float | None, option(METER, "A node's CPUs at full load.", "W", default="from the CPU's model")
    ] = None
    ram_watts_per_gib: Annotated[float | None, option(METER, "Memory, per GiB.", "W", default="0.3725")] = None
    idle_share: Annotated[
        float | None, option(METER, "What CPUs draw at rest, as a part of full load.", "X", default="0.1")
    ] = None

    country: Annotated[
        str | None, option(CARBON, "Whose energy mix, as in DEU.", "ISO3", default="the world average")
    ] = None
    carbon_intensity: Annotated[
        float | None, option(CARBON, "Your own figure, in g CO2e/kWh.", "X", default="the country's")
    ] = None
    pue: Annotated[float, option(CARBON, "The data centre's energy over its computers'.", "X")] = 1.0

    quiet: Annotated[bool, option(SHOWN, "No progress, only results and notices.", "", "--quiet", "-q")] = False
    json: Annotated[bool, option(SHOWN, "One JSON document on stdout instead of the table.", "", "--json")] = False

    def execution(self) -> dict[str, Any]:
        """The keywords that all functions of the library which train share, all but ``progress``."""
        names = (field.name for field in dataclasses.fields(ExecutionOptions))
        return {name: getattr(self, name) for name in names if name not in ("quiet", "json")}


@dataclass(frozen=True, kw_only=True)
class StudyOptions(ExecutionOptions, PlanOptions):
    """All that :func:`tune_kd.run` and :func:`tune_kd.compare` take. Fields come from the last base first."""

    def arguments(self) -> dict[str, Any]:
        """The keywords of both functions, all but ``progress``."""
        return {**self.execution(), **self.planning()}
