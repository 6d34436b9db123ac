"""The progress that a caller of Python asks for, and that ends whatever happens."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

from tune_kd.errors import InputError
from tune_kd.progress.base import Progress
from tune_kd.terminal.notebooks import in_notebook

Result = TypeVar("Result")
Asked = Progress | bool | None


def with_display(function: Callable[..., Result]) -> Callable[..., Result]:
    """Let ``function``, which takes a ``progress``, be called with True for a display that suits, None for none.

    The display is closed when the call is over, also by an error.
    """

    @functools.wraps(function)
    def wrapped(*positional: Any, progress: Asked = None, **given: Any) -> Result:
        with closing(display(progress)) as shown:
            return function(*positional, progress=shown, **given)

    known = inspect.signature(function).parameters
    asked = known["progress"].replace(default=None, annotation=Asked)
    wrapped.__signature__ = inspect.Signature([*(known | {"progress": asked}).values()])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {**function.__annotations__, "progress": Asked}
    return wrapped


def display(asked: Asked) -> Progress:
    """True: what suits this notebook, terminal or log. None or False: nothing. Raises InputError for anything else."""
    if isinstance(asked, Progress):
        return asked
    if asked is None or asked is False:
        return Progress()
    if asked is not True:
        raise InputError(f"progress is True, False, None or a Progress of tune_kd.progress, got {asked!r}")
    from tune_kd.progress.displays import choose_progress
    from tune_kd.progress.notebook import NotebookProgress

    return NotebookProgress() if in_notebook() else choose_progress(quiet=False)
