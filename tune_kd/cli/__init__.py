"""The command line: one file a command, nothing heavy imported before a command needs it."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import typer
from typer.main import get_command

from tune_kd.cli.app import FAILED, WRONG_INPUT, app, say
from tune_kd.cli.failures import said_of, users_line
from tune_kd.cli.usage import fitted, one_line
from tune_kd.cluster.interruption import terminable
from tune_kd.terminal.streams import OutputError, Stdout, guard

from tune_kd.cli import commands as commands  # isort: skip  (which registers the commands)

__all__ = ["app", "command_line", "main"]


def main() -> None:
    """The entry point of ``tune-kd``. Exit codes: 0 done, 1 failed, 2 the input was wrong, 130 interrupted.

    A SIGTERM interrupts as Ctrl-C does.
    """
    guard()
    with terminable():
        sys.exit(command_line(sys.argv[1:]))


def command_line(arguments: Sequence[str]) -> int:
    """Do what ``arguments`` say; the exit code."""
    warnings.showwarning = _show_warning
    try:
        command, layout = fitted(get_command(app))
        code = command.main(list(arguments), prog_name="tune-kd", standalone_mode=False, **layout)
        sys.stdout.flush()
    except typer.TyperException as error:
        say(one_line(error))
        return WRONG_INPUT
    except OutputError as error:
        return _without_output(error)
    except Exception as error:
        return _failed(error)
    return code or 0


def _without_output(error: OutputError) -> int:
    """A reader that has gone, as of ``| head``, needs no word."""
    if isinstance(sys.stdout, Stdout):
        sys.stdout.give_up()
    if not error.broken_pipe:
        say(str(error))
    return FAILED


def _failed(error: Exception) -> int:
    if (said := said_of(error)) is not None:
        say(said)
        return FAILED
    traceback.print_exc()
    if (line := users_line(error)) is not None:
        say(f"this is not tune-kd's code: {line.filename}, line {line.lineno}, raised {type(error).__name__}")
        return FAILED
    say("this is a bug; please report it with the lines above")
    return FAILED


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Our own warnings in one line; those of libraries say nothing to a user."""
    if category.__module__.partition(".")[0] in ("tune_kd", "analysis"):
        say(f"warning: {message}")
