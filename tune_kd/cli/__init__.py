"""The command line: one file a command, nothing heavy imported before a command needs it."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import typer
from typer.main import get_command

from tune_kd.cli.app import FAILED, WRONG_INPUT, app, say
from tune_kd.cli.usage import one_line
from tune_kd.interruption import terminable

# isort: split  (what follows registers the commands, in the order of the help)
from tune_kd.cli import studies as studies  # isort: skip
from tune_kd.cli import study as study  # isort: skip
from tune_kd.cli import forecasts as forecasts  # isort: skip
from tune_kd.cli import report as report  # isort: skip
from tune_kd.cli import analyse as analyse  # isort: skip
from tune_kd.cli import listing as listing  # isort: skip
from tune_kd.cli import store as store  # isort: skip
from tune_kd.cli import new as new  # isort: skip
from tune_kd.cli import repeats as repeats  # isort: skip
from tune_kd.cli import checkup as checkup  # isort: skip

__all__ = ["app", "command_line", "main"]


def main() -> None:
    """The entry point of ``tune-kd``. Exit codes: 0 done, 1 failed, 2 the input was wrong, 130 interrupted.

    A SIGTERM interrupts as Ctrl-C does.
    """
    with terminable():
        sys.exit(command_line(sys.argv[1:]))


def command_line(arguments: Sequence[str]) -> int:
    """Do what ``arguments`` say; the exit code."""
    warnings.showwarning = _show_warning
    try:
        code = get_command(app).main(list(arguments), prog_name="tune-kd", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        say(one_line(error))
        return WRONG_INPUT
    except BrokenPipeError:
        # Whoever read stdout has gone. Python would complain again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception:
        traceback.print_exc()
        say("this is a bug; please report it with the lines above")
        return FAILED
    return code or 0


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Our own warnings in one line; those of libraries say nothing to a user."""
    if category.__module__.partition(".")[0] in ("tune_kd", "analysis"):
        say(f"warning: {message}")
