"""``doctor``: what is found, marked in words, and an exit code that says whether a run is possible."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ray_head import free_ports

from tune_kd import checks
from tune_kd.checks import ABSENT, FAIL, MARKS, OK, WARN, Check
from tune_kd.cli import command_line
from tune_kd.store import create_store


def test_doctor_looks_at_everything_and_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = command_line(["doctor", "--store", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")])
    output = capsys.readouterr().out
    for name in ("Python", "packages", "CPU", "memory", "Ray", "GPU", "RAPL", "NVML", "power model", "carbon"):
        assert name in output
    for name in ("store", "cache", "temporary", "shared memory"):
        assert name in output
    marks = [line.split()[0] for line in output.splitlines() if line and not line.startswith(" ")]
    assert set(marks) <= set(MARKS)
    assert code == (1 if FAIL in marks else 0)


def test_an_address_where_nobody_answers_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [port] = free_ports(1)
    code = command_line(["doctor", "--address", f"127.0.0.1:{port}", "--cache", str(tmp_path)])
    marks = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")}
    assert f"no Ray cluster answers at '127.0.0.1:{port}'" in marks["cluster"]
    assert (code, marks["cluster"].split()[0]) == (1, FAIL)


def test_a_store_in_a_place_that_is_a_file_makes_a_run_impossible(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = checks.disk("store", tmp_path / "file" / "runs")
    assert found.mark == FAIL
    assert "--store" in found.advice


def test_a_folder_that_does_not_exist_yet_can_be_made(tmp_path: Path) -> None:
    found = checks.disk("store", tmp_path / "a" / "b" / "runs")
    assert found.mark in (OK, WARN)
    assert not (tmp_path / "a").exists()


def test_a_store_at_a_url_is_asked_and_not_measured_as_a_folder(tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}/runs"
    nothing = checks.remote_store(url)
    assert (nothing.mark, url in nothing.found) == (WARN, True)
    create_store(url, cache=tmp_path)
    assert checks.remote_store(url).mark == OK


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written_makes_a_run_impossible(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert checks.disk("cache", tmp_path / "cache").mark == FAIL


def test_a_temporary_folder_that_is_too_long_for_ray_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    found = checks.temporary()
    assert (found.mark, found.found.partition(",")[0]) == (OK, "/tmp")
    assert found.advice.startswith(f"{tmp_path} is too long for Ray's sockets")


def test_shared_memory_is_optional_and_small_ones_are_named(tmp_path: Path) -> None:
    assert checks.shared_memory(tmp_path / "none").mark == OK
    assert str(tmp_path) in checks.shared_memory(tmp_path).found


def test_packages_are_held_against_what_tune_kd_asks_for() -> None:
    found = list(checks.packages())
    assert found[0].mark == OK
    assert all(name in found[0].found for name in ("torch ", "ray ", "optuna ", "codecarbon "))
    assert found[1:] == []


def test_energy_readers_say_what_is_measured_and_how_to_get_better() -> None:
    found = {check.name: check for check in checks.energy_readers()}
    assert found["power model"].mark == OK
    assert all(check.found for check in found.values())
    assert all(check.advice for check in found.values() if check.mark == WARN)


def test_the_worst_mark_decides() -> None:
    def check(mark: str) -> Check:
        return Check(name="x", mark=mark, found="y")

    assert checks.worst([check(OK), check(WARN), check(ABSENT)]) == WARN
    assert checks.worst([check(FAIL), check(OK)]) == FAIL
    assert checks.worst([]) == OK


def test_a_mark_is_one_of_four() -> None:
    with pytest.raises(ValueError, match="got 'good'"):
        Check(name="x", mark="good", found="y")
