"""The Typer app, and what every command does about errors."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tune_kd.errors import InputError, Interrupted, RunFailed, StoreError

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130


def say(text: str) -> None:
    """One line on stderr."""
    print(f"tune-kd: {text}", file=sys.stderr)


class Commands(TyperGroup):
    """The commands; an error that a user can mend becomes its one line and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            code, text = WRONG_INPUT, str(error)
            for note in getattr(error, "__notes__", ()):  # the traceback of a user's policy
                print(note, file=sys.stderr)
        except (StoreError, RunFailed) as error:
            code, text = FAILED, str(error)
        except Interrupted as error:
            code, text = INTERRUPTED, str(error)
        except KeyboardInterrupt:
            code, text = INTERRUPTED, "interrupted"
        say(text)
        raise typer.Exit(code)


app = typer.Typer(
    name="tune-kd",
    cls=Commands,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def example(*commands: str) -> str:
    """The epilog of a command: how it is used."""
    title = "Example:" if len(commands) == 1 else "Examples:"
    return "\n".join((title, *(f"  {command}" for command in commands)))


def _version(wanted: bool) -> None:
    if wanted:
        from tune_kd import __version__

        print(f"tune-kd {__version__}")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    epilog=example("tune-kd compare --policies grid,stochastic"),
)
def tune_kd(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Which way of choosing the temperature of knowledge distillation buys the most accuracy for the least energy?"""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())
