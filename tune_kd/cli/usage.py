"""Help that fits a terminal, and what the parser found wrong with a command line, in one line of our form."""

from __future__ import annotations

import shutil
from typing import Any

import typer

from tune_kd.errors import nearest

BOXES = 80  # columns below which the help's boxes would cut the names of options


def fitted(command: Any) -> tuple[Any, dict[str, Any]]:
    """The command with a help that cuts nothing on this terminal, and the settings of the parser that belong to it."""
    columns = shutil.get_terminal_size().columns
    if columns >= BOXES:
        return command, {}
    _plain(command)
    return command, {"terminal_width": columns}


def _plain(command: Any) -> None:
    """Without boxes, help wraps."""
    command.rich_markup_mode = None
    command.short_help = command.help  # in a list of commands, whole
    for part in getattr(command, "commands", {}).values():
        _plain(part)


def one_line(error: typer.TyperException) -> str:
    """What is wrong, what was given, what is near, and where the help is."""
    context = getattr(error, "ctx", None)
    text = _sentence(error)
    return f"{text}{'' if text.endswith('?') else ';'} see {context.command_path if context else 'tune-kd'} --help"


def _sentence(error: typer.TyperException) -> str:
    given, near = getattr(error, "option_name", ""), getattr(error, "possibilities", None)
    if near:
        return f"unknown option {given!r}; {nearest(given, near)}"
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    text = (text[:1].lower() + text[1:]).replace(". Did", "; did").rstrip(".")
    # What was given for a value that cannot be read, only the error that this one comes from knows.
    problems: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    return f"{text.split(',')[0]}, got {problems[0]['input']!r}" if problems else text
