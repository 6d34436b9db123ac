"""Exit codes and what is said when something goes wrong elsewhere than in the input."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import ray.exceptions
import typer

from tune_kd import formats
from tune_kd.cli import command_line
from tune_kd.cli.app import app
from tune_kd.errors import InputError, Interrupted, RunFailed, StoreError


@pytest.fixture
def raising(request: pytest.FixtureRequest) -> Iterator[str]:
    """A command that raises the test's parameter."""
    registered = list(app.registered_commands)

    @app.command("raise", help="Raise an error.")
    def command() -> None:
        if callable(request.param):
            request.param()
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


def a_mistake_of_ours() -> None:
    formats.amount("many", "trials")  # type: ignore[arg-type]


@pytest.mark.parametrize("raising", [a_mistake_of_ours], indirect=True)
def test_an_unexpected_error_shows_its_traceback(raising: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line([raising]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2:] == [
        "ValueError: invalid literal for int() with base 10: 'many'",
        "tune-kd: this is a bug; please report it with the lines above",
    ]


class OutOfMemoryError(RuntimeError):
    """As PyTorch's."""


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("raising", "said"),
    [
        (MemoryError(), "out of memory"),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory: CUDA"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/a.parquet"), "No space left on device: runs/a.parquet"),
        (PermissionError(errno.EACCES, "Permission denied", "/root"), "Permission denied: /root"),
        (pa.ArrowInvalid("Parquet magic bytes not found in footer"), "Parquet magic bytes not found"),
        (
            caused(RuntimeError("unexpected"), ray.exceptions.OutOfMemoryError("1 worker was killed")),
            "1 worker was killed",
        ),
        (ray.exceptions.RaySystemError("the raylet has died"), "Ray failed: System error: the raylet has died"),
    ],
    indirect=["raising"],
)
def test_what_goes_wrong_around_us_is_one_line_and_no_bug(
    raising: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line([raising]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "bug" not in line


@pytest.mark.parametrize("raising", [ZeroDivisionError("in a user's file")], indirect=True)
def test_what_a_users_own_code_raises_is_shown_with_its_traceback_and_no_bug_of_ours(
    raising: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line([raising]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2] == "ZeroDivisionError: in a user's file"
    assert lines[-1].startswith(f"tune-kd: this is not tune-kd's code: {__file__}, line ")


@pytest.mark.parametrize("raising", [typer.Exit(7)], indirect=True)
def test_a_command_can_choose_its_exit_code(raising: str) -> None:
    assert command_line([raising]) == 7


@pytest.mark.parametrize(
    ("ending", "code", "error"),
    [
        ("| true", 1, ""),
        (">/dev/full", 1, "tune-kd: cannot write to stdout: No space left on device\n"),
        (">&-", 1, "tune-kd: cannot write to stdout: it is closed\n"),
        (">/dev/null 2>&-", 0, ""),
        ("--wrong 2>/dev/full", 2, ""),
        ("--wrong >&- 2>&-", 2, ""),
    ],
)
def test_an_output_that_cannot_be_written_is_no_traceback(ending: str, code: int, error: str) -> None:
    entry_point = Path(sys.executable).with_name("tune-kd")
    command = ["bash", "-c", f"{entry_point} --help {ending}; exit ${{PIPESTATUS[0]}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, error)
