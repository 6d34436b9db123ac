"""``new``: what it writes works as it is written, and nothing is ever overwritten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from policies.testing import check_policy
from tune_kd.cli import command_line
from tune_kd.config.catalogue import make_policy
from tune_kd.config.scenario import load_scenario
from tune_kd.config.spaces import make_space
from tune_kd.planning.plan import plan_study


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "file"), [("mine", "Mine", "mine"), ("half-way", "HalfWay", "half_way"), ("KD_2", "KD2", "kd_2")]
)
def test_a_new_policy_keeps_the_contract_and_goes_by_its_name(
    name: str, kind: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(["new", "policy", name]) == 0
    said = capsys.readouterr().out
    assert said.splitlines() == [
        f"wrote {file}.py",
        f"wrote test_{file}.py",
        f"Run it:  tune-kd run --policy {file}.py:{kind}",
        f"Test it: pytest test_{file}.py",
    ]
    policy = make_policy(f"{file}.py:{kind}:low=4")
    assert policy.name == name
    check_policy(policy)
    assert plan_study(policies=[f"{file}.py:{kind}"]).runs[0].label == name


def test_the_test_of_a_new_policy_passes_as_it_is_written(empty_folder: Path) -> None:
    assert command_line(["new", "policy", "half-way"]) == 0
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_half_way.py"]
    done = subprocess.run(command, cwd=empty_folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_a_new_space_and_a_new_scenario_load(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["new", "space", "narrow"]) == 0
    assert make_space("narrow.toml").tau.levels()[:2] == [1, 1.5]
    assert command_line(["new", "scenario", "flowers"]) == 0
    assert load_scenario("flowers.toml").name == "flowers"
    assert "tune-kd run --scenario flowers.toml" in capsys.readouterr().out
    assert plan_study(policies=["grid"], scenario="flowers.toml", space="narrow.toml").runs[0].scenario.data == "digits"


@pytest.mark.parametrize(
    ("words", "there"),
    [("policy mine", "mine.py"), ("policy mine", "test_mine.py"), ("space mine", "mine.toml")],
)
def test_a_file_that_is_there_is_left_alone_and_nothing_is_written(
    words: str, there: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_folder / there).write_text("precious")
    assert command_line(["new", *words.split()]) == 2
    assert capsys.readouterr().err == f"tune-kd: {there} is there already; give another name, or move it away\n"
    assert [path.name for path in empty_folder.iterdir()] == [there]
    assert (empty_folder / there).read_text() == "precious"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["policy", "grid"], "the name 'grid' is taken by a policy of tune-kd"),
        (["policy", "../mine"], "a name is letters, digits, - and _, a letter first, got '../mine'"),
        (["space", "3x"], "a letter first, got '3x'"),
    ],
)
def test_a_name_that_cannot_be_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["new", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_policy_that_raises_is_shown_with_its_own_lines_then_what_is_wrong(
    empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(["new", "policy", "mine"]) == 0
    file = empty_folder / "mine.py"
    file.write_text(file.read_text().replace("return hinton(", "return hintn("))
    capsys.readouterr()
    assert command_line(["plan", "--policies", "grid,mine.py:Mine"]) == 2
    *traceback, last = capsys.readouterr().err.splitlines()
    assert traceback[0] == "The policy's traceback (most recent call last):"
    assert traceback[1].startswith(f'  File "{file}", line ')
    assert traceback[2].strip().startswith('return hintn(self.get_buffer("tau"))')
    assert last.startswith(f"tune-kd: {file}, line ")
    assert "in forward: NameError: name 'hintn' is not defined" in last
