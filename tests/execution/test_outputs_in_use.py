"""The teacher's outputs of a replicate are removed by the last run that uses them."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tune_kd.execution.outputs_in_use import KEPT_FOR_RESUME_S, OutputsInUse

NAME = "0123456789abcdef"
HOLDING = """
import sys
from pathlib import Path
from tune_kd.execution.outputs_in_use import OutputsInUse
OutputsInUse(Path(sys.argv[1]), print).hold(sys.argv[2], ["killed"])
print("held", flush=True)
sys.stdin.read()
"""
Study = Callable[[], OutputsInUse]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Outputs of one replicate."""
    folder = tmp_path / "teacher_outputs"
    (folder / NAME).mkdir(parents=True)
    (folder / NAME / "00000.cost.pt").touch()
    return folder


@pytest.fixture
def study(folder: Path) -> Study:
    """study(): one more study with the same cache, which has nothing to complain of."""
    return lambda: OutputsInUse(folder.parent, pytest.fail)


def a_week_later(folder: Path) -> None:
    for path in folder.iterdir():
        at_s = path.stat().st_mtime - KEPT_FOR_RESUME_S - 1
        os.utime(path, (at_s, at_s))


def test_the_last_of_two_studies_removes_what_both_used(folder: Path, study: Study) -> None:
    with study() as first, study() as second:
        first.hold(NAME, ["a"])
        second.hold(NAME, ["b"])
        first.give_up(NAME, "a")
        assert (folder / NAME / "00000.cost.pt").exists()
        second.give_up(NAME, "b")
    assert list(folder.iterdir()) == []


def test_runs_of_one_study_keep_them_for_each_other(folder: Path, study: Study) -> None:
    with study() as only:
        only.hold(NAME, ["a", "b"])
        only.give_up(NAME, "a")
        only.hold(NAME, ["b"])
        assert (folder / NAME).exists()
        only.give_up(NAME, "b")
    assert list(folder.iterdir()) == []


def test_other_outputs_are_left_alone(folder: Path, study: Study) -> None:
    with study() as first, study() as second:
        first.hold(NAME, ["a"])
        second.hold("another", ["b"])
        second.give_up("another", "b")
        assert (folder / NAME).exists()


def test_an_interrupted_run_finds_them_again_and_then_they_go(folder: Path, study: Study) -> None:
    with study() as interrupted:
        interrupted.hold(NAME, ["a"])
    with study() as other:
        other.hold(NAME, ["b"])
        other.give_up(NAME, "b")
    assert (folder / NAME).exists()
    with study() as resumed:
        resumed.hold(NAME, ["a"])
        resumed.give_up(NAME, "a")
    assert list(folder.iterdir()) == []


def test_a_run_that_nobody_resumes_keeps_them_for_a_week(folder: Path, study: Study) -> None:
    with study() as interrupted:
        interrupted.hold(NAME, ["a"])
    with study():
        assert (folder / NAME).exists()
    a_week_later(folder)
    with study():
        assert list(folder.iterdir()) == []


def test_a_users_own_folder_of_that_name_is_never_swept(folder: Path, study: Study) -> None:
    """``--cache .`` in a project that has ``teacher_outputs/`` of its own."""
    (folder / "resnet50").mkdir()
    (folder / "notes.txt").touch()
    a_week_later(folder)
    with study():
        assert sorted(path.name for path in folder.iterdir()) == ["notes.txt", "resnet50"]


def test_a_study_of_more_than_a_week_still_uses_them(folder: Path, study: Study) -> None:
    with study() as long, study() as short:
        long.hold(NAME, ["a"])
        short.hold(NAME, ["b"])
        a_week_later(folder)
        short.give_up(NAME, "b")
        short.sweep()
        assert (folder / NAME).exists()


def test_a_killed_study_holds_nothing_any_more(folder: Path, study: Study) -> None:
    command = [sys.executable, "-c", HOLDING, str(folder.parent), NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "held\n"
        a_week_later(folder)
        with study():
            assert (folder / NAME).exists(), "its driver lives"
        killed.kill()
        killed.wait()
    with study():
        assert list(folder.iterdir()) == []


def test_where_nothing_can_be_locked_nothing_is_removed_and_that_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    said: list[str] = []
    with OutputsInUse(folder.parent, said.append) as uses:
        uses.hold(NAME, ["a"])
        uses.give_up(NAME, "a")
    assert (folder / NAME).exists()
    [line] = said
    assert "will not be removed: cannot lock" in line
    assert "its file system must know flock" in line
