"""Exit codes and what is said when something goes wrong elsewhere than in the input."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from tune_kd.cli import command_line
from tune_kd.cli.app import app
from tune_kd.errors import InputError, Interrupted, RunFailed, StoreError


@pytest.fixture
def raising(request: pytest.FixtureRequest) -> Iterator[str]:
    """A command that raises the test's parameter."""
    registered = list(app.registered_commands)

    @app.command("raise", help="Raise an error.")
    def command() -> None:
        raise request.param

    yield "raise"
    app.registered_commands[:] = registered


@pytest.mark.parametrize(
    ("raising", "code", "line"),
    [
        (InputError("no"), 2, "tune-kd: no"),
        (StoreError("the disk is full"), 1, "tune-kd: the disk is full"),
        (RunFailed("all trials failed"), 1, "tune-kd: all trials failed"),
        (Interrupted("go on with: tune-kd resume"), 130, "tune-kd: go on with: tune-kd resume"),
        (KeyboardInterrupt(), 130, "tune-kd: interrupted"),
    ],
    indirect=["raising"],
)
def test_errors_become_one_line_and_an_exit_code(
    raising: str, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line([raising]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err.splitlines()) == ("", [line])


@pytest.mark.parametrize("raising", [ZeroDivisionError("a mistake of ours")], indirect=True)
def test_an_unexpected_error_shows_its_traceback(raising: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line([raising]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2:] == [
        "ZeroDivisionError: a mistake of ours",
        "tune-kd: this is a bug; please report it with the lines above",
    ]


@pytest.mark.parametrize("raising", [typer.Exit(7)], indirect=True)
def test_a_command_can_choose_its_exit_code(raising: str) -> None:
    assert command_line([raising]) == 7


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    entry_point = Path(sys.executable).with_name("tune-kd")
    done = subprocess.run([entry_point, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
