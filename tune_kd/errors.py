"""Errors that a user can correct: one line with what is wrong, what was given and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """Input that cannot be used. Its text is one line, shown as it is; the command line exits with code 2."""


class StoreError(RuntimeError):
    """A store that cannot be read or written as asked. Its text is one line."""


MOST_CHOICES = 60  # the longest catalogue has fewer; a line of all trial ids would have no end
NEAREST = 8


def nearest(given: str, choices: Iterable[str]) -> str:
    """The hint that ends an error about a name: the nearest choice, then all of them, or of many the nearest few."""
    names = sorted(set(choices))
    close = difflib.get_close_matches(given.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    if len(names) <= MOST_CHOICES:
        return f"{hint}choices: {', '.join(names)}"
    few = difflib.get_close_matches(given.lower(), names, n=NEAREST, cutoff=0)
    return f"{hint}{len(names)} choices, the nearest: {', '.join(few)}"


def unknown(kind: str, given: str, choices: Iterable[str]) -> InputError:
    """An :class:`InputError` for a name that is not in a catalogue."""
    return InputError(f"unknown {kind} {given!r}; {nearest(given, choices)}")


class RunFailed(RuntimeError):
    """Every trial of a run failed; its text is one line with the first error. The command line exits with 1.

    ``outcome`` is the study's Outcome if other runs of it ended well, else None.
    """

    def __init__(self, text: str, outcome: Any = None) -> None:
        super().__init__(text)
        self.outcome = outcome


class Interrupted(KeyboardInterrupt):
    """The user stopped a study. Its text is one line: what is kept, and the command to go on with. Exit code 130."""
