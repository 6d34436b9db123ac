"""A search space by the name that a user gives."""

from __future__ import annotations

from pathlib import Path

from search_spaces import SPACES, Space, SpaceError, read_space
from tune_kd.errors import InputError, unknown


def make_space(text: str) -> Space:
    """A space by its name, or the space of a TOML file. Raises InputError."""
    if not text.endswith(".toml"):
        if text not in SPACES:
            raise unknown("space", text, SPACES)
        return SPACES[text]
    try:
        return read_space(Path(text))
    except SpaceError as error:
        raise InputError(str(error)) from error
