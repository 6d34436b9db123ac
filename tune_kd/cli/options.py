"""How an option is declared, and how several commands share theirs."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

from tune_kd.cli.choices import Completion
from tune_kd.config.keywords import from_keywords

Command = Callable[..., None]

# Headings of the help.
WHAT = "What is trained (else as in the scenario)"
SEARCH = "Search"
WHERE = "Where it runs"
METER = "Power model (where nothing can be measured)"
CARBON = "Carbon"
SHOWN = "Output"
OPTIONS = "Options"

STORE = "DIR|URL"
DATA_ROOT = "Where data sets with a name (cifar10, …) lie, or are downloaded to."
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


def with_options(words: Mapping[str, Any]) -> Callable[[Command], Command]:
    """Give a command every field of the dataclasses that it takes as an option of its own.

    ``words`` has what the help says of those that do not say it themselves, in the order of the help. What a field
    takes from Python alone, a path or a mapping, or a number beside a text, is no option's type; a field without words
    is no option.
    """

    def decorate(command: Command) -> Command:
        wrapped = from_keywords(command)
        given = inspect.signature(wrapped).parameters
        own = {name: one for name, one in given.items() if get_origin(one.annotation) is Annotated}
        shared = {name: _option_of(given[name], words[name]) for name in words if name in given and name not in own}
        shown = {**own, **shared}
        wrapped.__signature__ = inspect.Signature(list(shown.values()))  # type: ignore[attr-defined]
        wrapped.__annotations__ = {name: parameter.annotation for name, parameter in shown.items()}
        return wrapped

    return decorate


def _option_of(field: inspect.Parameter, words: Any) -> inspect.Parameter:
    kinds = get_args(field.annotation) or (field.annotation,)
    python_alone = (Path, int) if str in kinds else (Path,)
    typed = [kind for kind in kinds if kind not in python_alone and get_origin(kind) is not Mapping]
    return field.replace(annotation=Annotated[functools.reduce(operator.or_, typed), words])


POLICY_FORM = "see tune-kd list policies; or FILE.py:Class, one of your own, whose code is run"


def policy_names(policies: Sequence[str]) -> list[str]:
    """The names in all ``--policies`` that were given."""
    return [name.strip() for given in policies for name in given.split(",") if name.strip()]
