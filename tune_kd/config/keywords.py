"""Options as fields of dataclasses, given as keywords: each is written once, for the command line and for Python."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from tune_kd.errors import InputError, unknown

Result = TypeVar("Result")


def from_keywords(function: Callable[..., Result]) -> Callable[..., Result]:
    """Let ``function`` be called with the fields of the dataclasses that it takes as keywords.

    A caller gives such a dataclass by its fields, or whole under the name of its parameter. The signature shows the
    fields. The call raises InputError for a keyword that is neither, with the nearest name, and for a value of another
    type than a keyword's number, text or truth value.
    """
    own, kinds = _own_and_dataclasses(function)
    fields = {name: _parameters(kind) for name, kind in kinds.items()}
    shown = {**own, **{name: field for of_kind in fields.values() for name, field in of_kind.items()}}

    @functools.wraps(function)
    def wrapped(*positional: Any, **given: Any) -> Result:
        for name in given:
            if name not in shown and name not in kinds:
                raise unknown(f"keyword of {function.__name__}:", name, shown)
        for name in given.keys() & shown.keys():
            _check_type(name, shown[name].annotation, given[name])
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


SIMPLE: dict[object, tuple[str, Callable[[object], bool]]] = {
    NoneType: ("None", lambda value: value is None),
    bool: ("True or False", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: isinstance(value, Integral) and not isinstance(value, bool)),
    float: ("a number", lambda value: isinstance(value, Real) and not isinstance(value, bool)),
    str: ("a text", lambda value: isinstance(value, str)),
    Path: ("a path", lambda value: isinstance(value, PathLike)),
}
"""By type, what it is in words, and whether a value is of it."""


def _check_type(name: str, annotation: object, value: object) -> None:
    """Raises InputError for a value that is none of what the annotation says; annotations of other types are left."""
    kinds = get_args(annotation) if get_origin(annotation) is UnionType else (annotation,)
    if not all(isinstance(kind, type) and kind in SIMPLE for kind in kinds) or any(
        SIMPLE[kind][1](value) for kind in kinds
    ):
        return
    raise InputError(f"{name} must be {' or '.join(SIMPLE[kind][0] for kind in kinds)}, got {value!r}")


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
