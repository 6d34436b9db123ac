"""``new …``: files of one's own to begin with, each of which works as it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from tune_kd.cli.app import app, example
from tune_kd.errors import InputError

TEMPLATES = Path(__file__).parents[1] / "templates"

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
    _check(name)
    from policies import POLICIES

    if name.lower().replace("_", "-") in POLICIES:
        raise InputError(f"the name {name!r} is taken by a policy of tune-kd; give another one")
    file = name.replace("-", "_").lower()
    words = re.split("[-_]", name)
    kind = "".join(word[:1].upper() + word[1:] for word in words)
    filled = {"CLASS": kind, "FILE": file, "NAME": name, "TITLE": " ".join(words).capitalize()}
    _write({f"{file}.py": "policy.py", f"test_{file}.py": "test_policy.py"}, filled)
    _say_how(f"tune-kd run --policy {file}.py:{kind}", f"pytest test_{file}.py")


@commands.command(epilog=example("tune-kd new scenario flowers"))
def scenario(name: Name) -> None:
    """Write a scenario, what is trained, into this folder."""
    _check(name)
    _write({f"{name}.toml": "scenario.toml"}, {"FILE": name})
    _say_how(f"tune-kd run --scenario {name}.toml")


@commands.command(epilog=example("tune-kd new space narrow"))
def space(name: Name) -> None:
    """Write a search space, the values that may be tried, into this folder."""
    _check(name)
    _write({f"{name}.toml": "space.toml"}, {"FILE": name})
    _say_how(f"tune-kd run --policy random --space {name}.toml")


def _check(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*", name):
        raise InputError(f"a name is letters, digits, - and _, a letter first, got {name!r}")


def _write(files: dict[str, str], filled: dict[str, str]) -> None:
    """Write each of ``files`` from its template, or none of them. Raises InputError, never overwrites."""
    for file in files:
        if Path(file).exists():
            raise InputError(f"{file} is there already; give another name, or move it away")
    for file, template in files.items():
        text = (TEMPLATES / f"{template}.template").read_text(encoding="utf-8")
        for word, value in filled.items():
            text = text.replace(word, value)
        try:
            with Path(file).open("x", encoding="utf-8") as written:
                written.write(text)
        except OSError as error:
            raise InputError(f"{file} cannot be written: {error.strerror or error}") from None
        print(f"wrote {file}")


def _say_how(*lines: str) -> None:
    for index, line in enumerate(lines):
        print(f"{'Run it: ' if index == 0 else 'Test it:'} {line}")
