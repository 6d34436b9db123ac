"""What the parser found wrong with a command line, in one line of our form."""

from __future__ import annotations

from typing import Any

import typer

from tune_kd.errors import nearest


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
