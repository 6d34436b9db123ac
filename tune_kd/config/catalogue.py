"""Names given by a user, made into policies. An unknown name gets the nearest one as a hint."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import tomllib
from pathlib import Path
from typing import Any

from policies import POLICIES, Policy
from tune_kd.config import policy_file
from tune_kd.errors import InputError, unknown


def make_policy(text: str) -> Policy:
    """The policy of ``NAME[:option=value]…``, as in ``annealing:shape=cosine``, or ``FILE.py:Class[:option=value]…``.

    Such a file is run. Raises InputError.
    """
    kind, options = policy_file.read(text) if policy_file.is_file(text) else _of_ours(text)
    values: dict[str, Any] = {}
    for key, value in (_option(kind, option) for option in options):
        if key in values:
            raise InputError(f"policy {text!r} gives {key} twice")
        values[key] = value
    with policy_file.explained():
        try:
            return kind(**values)
        except ValueError as error:
            raise InputError(f"policy {text!r}: {error}") from error


def _of_ours(text: str) -> tuple[type[Policy], list[str]]:
    name, *options = text.split(":")
    if name not in POLICIES:
        raise unknown("policy", name, POLICIES)
    return POLICIES[name], options


KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def _option(kind: type[Policy], text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if key not in defaults:
        if not defaults:
            raise InputError(f"policy {kind.name!r} has no options, got {text!r}")
        raise unknown(f"option of policy {kind.name!r}:", key, defaults)
    wanted = type(defaults[key])
    try:
        given = tomllib.loads(f"value = {value}")["value"] if equals else True
    except tomllib.TOMLDecodeError:
        given = value
    if wanted is float and type(given) is int:
        given = float(given)
    if type(given) is not wanted:
        raise InputError(f"policy {kind.name!r}: {key} must be {KINDS[wanted]}, got {value or 'nothing'!r}")
    return key, given


def policy_record(policy: Policy) -> str:
    """A policy as the JSON text that a record keeps: its name, whether it adapts to results, and every option.

    The record of a user's own policy has its source text, too.
    """
    options = dataclasses.asdict(policy)  # type: ignore[call-overload]
    fields = {"name": policy.name, "adapts": policy.adapts, "options": options}
    return json.dumps({**fields, **policy_file.record(type(policy))})


def policy_from_record(text: str) -> Policy:
    """The inverse of :func:`policy_record`."""
    record = json.loads(text)
    kind = policy_file.from_record(record) if "source" in record else POLICIES[record["name"]]
    return kind(**record["options"])


def policy_sha256(policy: Policy, *, now: bool = False) -> str:
    """The hash of the source file that defines the policy.

    A user's file may have changed since it was loaded or recorded: ``now``, the hash is of what it is on disk.
    """
    if source := policy_file.source_of(type(policy)):
        return policy_file.sha256_now(source) if now else source.sha256
    return hashlib.sha256(Path(inspect.getfile(type(policy))).read_bytes()).hexdigest()
