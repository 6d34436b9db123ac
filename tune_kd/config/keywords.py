"""Options as fields of dataclasses, given as keywords: each is written once, for the command line and for Python."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

from tune_kd.errors import InputError, unknown

Result = TypeVar("Result")


def from_keywords(function: Callable[..., Result]) -> Callable[..., Result]:
    """Let ``function`` be called with the fields of the dataclasses that it takes as keywords.

    A caller gives such a dataclass by its fields, or whole under the name of its parameter. The signature shows the
    fields. The call raises InputError for a keyword that is neither, with the nearest name.
    """
    own, kinds = _own_and_dataclasses(function)
    fields = {name: _parameters(kind) for name, kind in kinds.items()}
    shown = {**own, **{name: field for of_kind in fields.values() for name, field in of_kind.items()}}

    @functools.wraps(function)
    def wrapped(*positional: Any, **given: Any) -> Result:
        for name in given:
            if name not in shown and name not in kinds:
                raise unknown(f"keyword of {function.__name__}:", name, shown)
        whole = {name: _whole(name, kind, fields[name], given) for name, kind in kinds.items()}
        return function(*positional, **{name: given[name] for name in own if name in given}, **whole)

    wrapped.__signature__ = inspect.Signature(list(shown.values()))  # type: ignore[attr-defined]
    wrapped.__annotations__ = {name: parameter.annotation for name, parameter in shown.items()}
    return wrapped


def changed(options: Any) -> list[str]:
    """The fields of a dataclass that have another value than their default."""
    return [field.name for field in dataclasses.fields(options) if getattr(options, field.name) != field.default]


def _whole(name: str, kind: type, fields: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """The dataclass of the parameter ``name``: as it was given, else made of its fields."""
    parts = {field: given[field] for field in fields if field in given}
    if name not in given:
        return kind(**parts)
    if parts:
        raise InputError(f"{', '.join(parts)} and {name}, of which they are a part, were both given; leave one out")
    return given[name]


def _own_and_dataclasses(function: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], dict[str, type]]:
    """The function's other parameters, and by name the dataclasses among its parameters."""
    parameters = _parameters(function)
    hints = {name: one.annotation for name, one in parameters.items()}
    kinds = {name: kind for name, kind in hints.items() if isinstance(kind, type) and dataclasses.is_dataclass(kind)}
    return {name: one for name, one in parameters.items() if name not in kinds}, kinds


def _parameters(called: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of ``called``, their annotations evaluated."""
    hints, given = get_type_hints(called, include_extras=True), inspect.signature(called).parameters
    return {name: parameter.replace(annotation=hints[name]) for name, parameter in given.items()}
