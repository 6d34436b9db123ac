"""The options that ``run`` and ``compare`` share, defined once."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import typer

from tune_kd.cli.choices import TRACKS, Completion, one_of, scenario_presets, spaces
from tune_kd.errors import InputError

WHAT, SEARCH, WHERE, CARBON, SHOWN = (
    "What is trained (else as in the scenario)",
    "Search",
    "Where it runs",
    "Carbon",
    "Output",
)
OPTIONS = "Options"
CACHE = "$TUNE_KD_CACHE, else ~/.cache/tune-kd"


def option(
    panel: str,
    text: str,
    metavar: str = "",
    *names: str,
    default: str | None = None,
    complete: Completion | None = None,
) -> Any:
    """An option under the heading ``panel``; ``default`` says in words what happens without it.

    A flag has no ``metavar`` and gives its names, so that it gets no ``--no-…`` twin.
    """
    return typer.Option(
        *names,
        help=text,
        rich_help_panel=panel,
        metavar=metavar,
        show_default=True if default is None else default,
        autocompletion=complete,
    )


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What is trained, how it is searched, where it runs and what is shown."""

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
    train_limit: Annotated[
        int | None, option(WHAT, "Train on a stratified part of so many images.", "N", default="all")
    ] = None
    skip_bad_images: Annotated[
        bool, option(WHAT, "Leave out images that cannot be decoded.", "", "--skip-bad-images")
    ] = False
    teacher: Annotated[str | None, option(WHAT, "The teacher's network.", "MODEL")] = None
    student: Annotated[str | None, option(WHAT, "The student's network.", "MODEL")] = None
    epochs: Annotated[int | None, option(WHAT, "Epochs of a trial; milestones move in proportion.", "N")] = None
    loss: Annotated[str | None, option(WHAT, "The distillation loss.", "NAME")] = None
    alpha: Annotated[float | None, option(WHAT, "Weight of the distillation term, 0 to 1.", "X")] = None
    reduction: Annotated[str | None, option(WHAT, "Of the distillation term: batchmean or classmean.", "NAME")] = None
    precision: Annotated[str | None, option(WHAT, "float32 or bfloat16.", "NAME")] = None
    set: Annotated[
        list[str] | None,
        option(WHAT, "Any field of the scenario, as in recipe.lr=0.05; repeat it for more.", "KEY=VALUE", "--set"),
    ] = None

    space: Annotated[
        str, option(SEARCH, "The search space: one of ours or a file.", "NAME|FILE.toml", complete=spaces)
    ] = "tau"
    budget: Annotated[
        str, option(SEARCH, "What a run may spend: 20trials, 400epochs, 3e15flops, 50Wh, 15g, 10min.", "AMOUNT")
    ] = "20trials"
    track: Annotated[
        str,
        option(
            SEARCH,
            "recipe: each policy's native number of trials; budget: each spends it all.",
            "NAME",
            complete=one_of(TRACKS),
        ),
    ] = "recipe"
    replicates: Annotated[int, option(SEARCH, "Independent repeats, each with its own seed.", "N")] = 1
    seed: Annotated[int, option(SEARCH, "What all seeds come from.", "N")] = 0

    store: Annotated[str, option(WHERE, "Where the records go.", "DIR")] = "./runs"
    cache: Annotated[
        str | None, option(WHERE, "Where teachers, decoded data and checkpoints live.", "DIR", default=CACHE)
    ] = None
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

    country: Annotated[
        str | None, option(CARBON, "Whose energy mix, as in DEU.", "ISO3", default="the world average")
    ] = None
    carbon_intensity: Annotated[
        float | None, option(CARBON, "Your own figure, in g CO2e/kWh.", "X", default="the country's")
    ] = None
    pue: Annotated[float, option(CARBON, "The data centre's energy over its computers'.", "X")] = 1.0

    quiet: Annotated[bool, option(SHOWN, "No progress, only results and notices.", "", "--quiet", "-q")] = False
    json: Annotated[bool, option(SHOWN, "One JSON document on stdout instead of the table.", "", "--json")] = False

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

    def arguments(self) -> dict[str, Any]:
        """The keywords of :func:`tune_kd.run` and :func:`tune_kd.compare`, all but ``progress``."""
        names = (field.name for field in dataclasses.fields(self))
        given = {name: getattr(self, name) for name in names if name not in {*SHORT_FOR_SET, "set", "quiet", "json"}}
        return {**given, "settings": self.settings()}


# By option, the field of the scenario that it sets.
SHORT_FOR_SET = {
    "skip_bad_images": "skip_bad_images",
    "teacher": "teacher",
    "student": "student",
    "epochs": "recipe.epochs",
    "loss": "loss",
    "alpha": "alpha",
    "reduction": "reduction",
    "precision": "precision",
}


def with_study_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` every field of :class:`StudyOptions` as an option; it gets them as its ``options``."""
    shared, own = _parameters(StudyOptions), _parameters(command)
    del own["options"]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        command(**{name: given.pop(name) for name in own}, options=StudyOptions(**given))

    parameters = {**own, **shared}
    wrapped.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    wrapped.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return wrapped


def _parameters(called: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword parameters of ``called``, their annotations evaluated."""
    hints = get_type_hints(called, include_extras=True)
    given = inspect.signature(called).parameters
    return {name: parameter.replace(annotation=hints[name]) for name, parameter in given.items()}
