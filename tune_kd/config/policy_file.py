"""A policy of the user's own, ``FILE.py:Class``: loaded once, recorded as its source text, made again from the record.

A policy file is code. It is run where it is named, and where a run whose record holds its text is resumed, extended or
rerun; a store that is only read never runs what it holds. Workers have no file: they make the class from the text.
"""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import hashlib
import inspect
import linecache
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from policies import POLICIES, Policy
from policies.base import Softening, Temperature
from search_spaces import Space
from tune_kd.errors import InputError, unknown
from tune_kd.own_packages import PACKAGES, ROOT

NAMED = re.compile(r"(?P<file>.+?\.py)(?::(?P<rest>.*))?", re.DOTALL)
OPTION_TYPES = (int, float, bool, str)
DECORATOR = "@dataclass(frozen=True, kw_only=True)"

_sources: dict[str, Source] = {}  # by the name of the module that was made of it


class PolicyError(InputError):
    """A policy file that raised. Its text is one line; the policy's own traceback is its note."""


@dataclass(frozen=True)
class Source:
    """A policy file as it was when it was named."""

    file: str  # where it was, absolute
    text: str

    @property
    def sha256(self) -> str:
        """The hash of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def module(self) -> str:
        """The name of the module made of it, another one for every place and text."""
        return f"tune_kd_policy_{hashlib.sha256(f'{self.file} {self.text}'.encode()).hexdigest()[:16]}"


def is_file(name: str) -> bool:
    """Does ``name`` stand for a policy file, and not for one of the catalogue?"""
    return NAMED.fullmatch(name) is not None


def read(name: str) -> tuple[type[Policy], list[str]]:
    """The class of ``FILE.py:Class[:option=value]…`` and its options as they were typed. Raises InputError."""
    found = NAMED.fullmatch(name)
    assert found is not None, f"{name!r} names no policy file"
    file = Path(found["file"])
    try:
        text = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read the policy file {file}: {reason}") from error
    class_name, *options = (found["rest"] or "").split(":")
    return class_of(Source(str(file.resolve()), text), class_name), options


def source_of(kind: type[Policy]) -> Source | None:
    """The file that a policy class was made of; None for one of the catalogue."""
    return _sources.get(kind.__module__)


def record(kind: type[Policy]) -> dict[str, str]:
    """What the record of a policy holds beside its name and its options; nothing for one of the catalogue."""
    source = source_of(kind)
    return {} if source is None else {"class": kind.__qualname__, "file": source.file, "source": source.text}


def from_record(fields: Mapping[str, Any]) -> type[Policy]:
    """The inverse of :func:`record`: the file itself is not needed."""
    return class_of(Source(fields["file"], fields["source"]), fields["class"])


def sha256_now(source: Source) -> str:
    """The hash of the file as it is now; where it is gone, of the text that was recorded."""
    try:
        return hashlib.sha256(Path(source.file).read_bytes()).hexdigest()
    except OSError:
        return source.sha256


@functools.cache
def class_of(source: Source, class_name: str) -> type[Policy]:
    """The policy class of that name, ready to be made. Raises InputError where it is none, PolicyError where it raises.

    The same text gives the same class, so that two policies with the same options are equal.
    """
    module = _module(source)
    here = [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__]
    own = [kind.__name__ for kind in here if issubclass(kind, Policy)]
    file = Path(source.file).name
    if not own:
        raise InputError(f"policy file {file} has no subclass of policies.Policy; tune-kd new policy NAME writes one")
    if not class_name:
        raise InputError(f"policy file {file}: name its class, as in {file}:{own[-1]}")
    kind = getattr(module, class_name, None)
    if kind is None:
        raise unknown(f"class of policy file {file}:", class_name, own)
    _check(kind, f"class {class_name} of policy file {file}")
    if not any("name" in vars(base) for base in kind.__mro__ if base in here):
        kind.name = kind.__name__
    _check_name(kind.name, f"class {class_name} of policy file {file}")
    # Pickled, a policy is its text: whoever unpickles it needs no file and no module of that name.
    copyreg.pickle(kind, lambda policy: (_made_again, (source, class_name, dataclasses.asdict(policy))))
    return kind


def _made_again(source: Source, class_name: str, options: dict[str, Any]) -> Policy:
    return class_of(source, class_name)(**options)


@functools.cache
def _module(source: Source) -> ModuleType:
    module = ModuleType(source.module)
    module.__file__ = source.file
    # dataclasses and pickle look modules up by name, tracebacks lines of source: a worker has no file to read.
    sys.modules[module.__name__], _sources[module.__name__] = module, source
    linecache.cache[source.file] = (len(source.text), None, source.text.splitlines(keepends=True), source.file)
    try:
        with explained():
            exec(compile(source.text, source.file, "exec", dont_inherit=True), vars(module))
    except InputError:
        del sys.modules[module.__name__]
        raise
    return module


def _check(kind: Any, what: str) -> None:
    """Is it a policy that can be made? Raises InputError."""
    if not (isinstance(kind, type) and issubclass(kind, Policy)):
        raise InputError(f"{what} is no subclass of policies.Policy")
    # Asked of the class itself: without the decorator, a subclass of a policy of ours would lose its own options.
    parameters = vars(kind).get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        raise InputError(f"{what} is no frozen dataclass; put {DECORATOR} above it")
    if inspect.isabstract(kind):
        raise InputError(
            f"{what} lacks {', '.join(sorted(kind.__abstractmethods__))}; policies/base.py says what it is"
        )
    for option in dataclasses.fields(kind):  # type: ignore[arg-type]
        if type(option.default) not in OPTION_TYPES:
            raise InputError(
                f"{what}: option {option.name} must have a default that is a number, true or false, or a word"
            )


def _check_name(name: object, what: str) -> None:
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z][\w-]*", name, re.ASCII)):
        raise InputError(f"{what}: its name must be letters, digits, - and _, a letter first, got {name!r}")
    if name.lower().replace("_", "-") in POLICIES:
        raise InputError(f"{what}: its name {name!r} is taken by a policy of tune-kd; give the class another name = …")


def label(kind: type[Policy], name: str) -> str:
    """What a policy is called where results are shown: its name and its options as they were typed."""
    if source_of(kind) is None:
        return name
    return ":".join([kind.name, *read(name)[1]])


def rehearse(policy: Policy, space: Space, *, anchors: bool = False) -> None:
    """Ask a user's policy once for all that a run asks of it, before Ray starts. Raises InputError or PolicyError.

    With ``anchors`` the logits are [B, A, n], else [B, n].
    """
    if source_of(type(policy)) is None:
        return
    with explained():
        policy.scheduler()
        params = policy.searcher(space, 0).suggest("rehearsal")
        if not isinstance(params, Mapping):
            raise InputError(f"the searcher of policy {policy.name} suggests no parameters, but {params!r}")
        temperature: object = policy.temperature(params, 0)
        if not isinstance(temperature, Temperature):
            raise InputError(f"temperature() of policy {policy.name} must give a Temperature, got {temperature!r}")
        temperature.begin_epoch(0, 1, 1)
        if type(temperature).loss is Temperature.loss and temperature.needs_teacher:
            logits = torch.zeros(2, 4, 3) if anchors else torch.zeros(2, 3)
            softening = temperature(0, logits, logits)
            if not isinstance(softening, Softening):
                raise InputError(f"forward() of policy {policy.name} must give a Softening, got {softening!r}")
            if anchors:
                _check_parts(softening, policy.name)


def _check_parts(softening: Softening, name: str) -> None:
    """Do the parts fit logits [2, 4, 3]? What was made for [B, n] may fit by chance, and mean something else."""
    for what, part in softening._asdict().items():
        if part.ndim and not (
            part.ndim == 3 and part.shape[0] in (1, 2) and part.shape[1] in (1, 4) and part.shape[2] == 1
        ):
            raise InputError(
                f"policy {name} cannot soften logits [B, A, n], which this task has: {what} must be (), [B, 1, 1] or "
                f"[B, A, 1], got {list(part.shape)} for B = 2 and A = 4"
            )


@contextmanager
def explained() -> Iterator[None]:
    """What a policy file raises becomes a PolicyError: where and what in one line, and its own traceback as a note."""
    try:
        yield
    except PolicyError:
        raise
    except Exception as error:
        told = traceback.TracebackException.from_exception(error)
        files = {source.file for source in _sources.values()}
        own = [index for index, frame in enumerate(told.stack) if frame.filename in files]
        if isinstance(error, SyntaxError) and error.filename in files:
            place, frames = f"{error.filename}, line {error.lineno}", []
        elif own:
            last = told.stack[own[-1]]
            place = f"{last.filename}, line {last.lineno}, in {last.name}"
            frames = [frame for frame in told.stack[own[0] :] if not _is_ours(frame.filename)]
        else:
            raise
        raised = list(told.format_exception_only())
        problem = PolicyError(f"{place}: {raised[-1].splitlines()[0]}")
        # Ray rewrites every line of a worker's error that begins with the word Traceback.
        heading = ["The policy's traceback (most recent call last):\n"] if frames else []
        problem.add_note("".join([*heading, *traceback.StackSummary.from_list(frames).format(), *raised]).rstrip())
        raise problem from None


def _is_ours(filename: str) -> bool:
    return any(Path(filename).is_relative_to(ROOT / package) for package in (*PACKAGES, "tune_kd"))


def told_by_worker(failure: str) -> str | None:
    """What Ray kept of a PolicyError of a worker: its line, then its note; None for another failure."""
    _, found, text = failure.rpartition(f"{PolicyError.__name__}: ")
    return text.strip() if found else None
