"""``new …``: files of one's own to begin with, each of which works as it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tune_kd.api.new_files import new, policy_class
from tune_kd.cli.app import app, example

commands = typer.Typer(rich_markup_mode="rich")
app.add_typer(commands, name="new")

Name = Annotated[
    str, typer.Argument(help="What it is called: letters, digits, - and _, a letter first.", metavar="NAME")
]


@commands.callback(invoke_without_command=True, epilog=example("tune-kd new policy mine", "tune-kd new space narrow"))
def new_commands(ctx: typer.Context) -> None:
    """Write a policy, a scenario or a search space of your own to begin with."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


@commands.command(epilog=example("tune-kd new policy mine"))
def policy(name: Name) -> None:
    """Write a policy and its test, which passes as it is, into this folder."""
    written, _ = _new("policy", name)
    _say_how(f"tune-kd run --policy {written}:{policy_class(name)}", f"pytest test_{written}")


@commands.command(epilog=example("tune-kd new scenario flowers"))
def scenario(name: Name) -> None:
    """Write a scenario, what is trained, into this folder."""
    _new("scenario", name)
    _say_how(f"tune-kd run --scenario {name}.toml")


@commands.command(epilog=example("tune-kd new space narrow"))
def space(name: Name) -> None:
    """Write a search space, the values that may be tried, into this folder."""
    _new("space", name)
    _say_how(f"tune-kd run --policy random --space {name}.toml")


def _new(what: str, name: str) -> list[Path]:
    files = new(what, name)
    for file in files:
        print(f"wrote {file}")
    return files


def _say_how(*lines: str) -> None:
    for index, line in enumerate(lines):
        print(f"{'Run it: ' if index == 0 else 'Test it:'} {line}")
