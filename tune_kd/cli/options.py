"""How an option is declared, and how several commands share theirs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import typer

from tune_kd.cli.choices import Completion

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


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` every field of the class of its parameter ``options`` as an option of its own."""
    own = _parameters(command)
    kind = own.pop("options").annotation
    shared = _parameters(kind)

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        command(**{name: given.pop(name) for name in own}, options=kind(**given))

    parameters = {**own, **shared}
    wrapped.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    wrapped.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return wrapped


def _parameters(called: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword parameters of ``called``, their annotations evaluated."""
    hints = get_type_hints(called, include_extras=True)
    given = inspect.signature(called).parameters
    return {name: parameter.replace(annotation=hints[name]) for name, parameter in given.items()}
