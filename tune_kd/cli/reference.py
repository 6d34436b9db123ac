"""The reference of all commands, made from them: ``python -m tune_kd.cli.reference > docs/commands.md``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from tune_kd.cli import app

HEAD = """# Commands

<!-- Made by `python -m tune_kd.cli.reference > docs/commands.md`; a test sees to it that it is current. -->

Exit codes: 0 done, 1 failed, 2 the input was wrong, 130 interrupted, by Ctrl-C or SIGTERM.
"""


def reference() -> str:
    """All commands as Markdown: what each does, how it is used, and its options with their defaults."""
    sections = (line for name, command in all_commands().items() for line in _command(name, command))
    return "\n".join([HEAD, *sections]).rstrip() + "\n"


def all_commands() -> dict[str, Any]:
    """Every command by its words, those of a group after the group: ``store``, ``store ls``."""
    return dict(_commands(get_command(app), ""))


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")


def _command(name: str, command: Any) -> Iterator[str]:
    yield from (f"## tune-kd {name}", "", inspect.cleandoc(command.help), "")
    yield from ("```", *(line.strip() for line in command.epilog.splitlines()[1:]), "```", "")
    panels: dict[str, list[Any]] = {}
    for parameter in command.params:
        if parameter.name != "help":
            panels.setdefault(parameter.rich_help_panel or "Arguments", []).append(parameter)
    for panel, parameters in panels.items():
        yield from (f"| {panel} | | default |", "| --- | --- | --- |")
        for parameter in parameters:
            cells = (f"`{_usage(parameter)}`", parameter.help, _default(parameter))
            yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
        yield ""


def _usage(parameter: Any) -> str:
    """``-q, --quiet``, ``--seed N`` or ``WHAT``."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    return " ".join(filter(None, (", ".join(sorted(parameter.opts, key=len)), parameter.metavar)))


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    return "" if parameter.default is None or parameter.default is False else f"`{parameter.default}`"


if __name__ == "__main__":
    print(reference(), end="")
