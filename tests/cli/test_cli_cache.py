"""``cache …``: what it says of real files, what it removes, and that it leaves alone what a living study holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from s3_server import FlakyServer

import tune_kd
from tune_kd.cli import command_line
from tune_kd.execution.outputs_in_use import OutputsInUse
from tune_kd.storage.cache import cache_at
from tune_kd.storage.checkpoints import save
from tune_kd.storage.lease import Lease

RUN, OTHER = "s1-grid-r0", "s1-tpe-r0"
ENTRIES = {
    "teachers/1f0e.pt": 100,
    f"checkpoints/{RUN}": 60,
    f"checkpoints/{OTHER}": 30,
    "pools/77aa": 50,
    f"pools/of-trials/{RUN}": 40,
    "teacher_outputs/aaaa": 70,
    "data/images-1.npz": 20,
    "datasets/cifar-10-batches-py": 90,
    "calibrations/5a5a-1.json": 10,
    "stores/beef/mirror": 80,
}
FILES = {
    "teachers/1f0e.pt": 100,
    f"checkpoints/{RUN}/{RUN}-0000.pt": 40,
    f"checkpoints/{RUN}/{RUN}-0001.pt": 20,
    f"checkpoints/{OTHER}/{OTHER}-0000.pt": 30,
    "pools/77aa/00000.pt": 45,
    "pools/77aa/state.pt": 5,
    f"pools/of-trials/{RUN}/{RUN}-0000/00000.pt": 40,
    "teacher_outputs/aaaa/00000.logits.pt": 70,
    "data/images-1.npz": 20,
    "datasets/cifar-10-batches-py/data_batch_1": 90,
    "calibrations/5a5a-1.json": 10,
    "stores/beef/mirror/runs/r.parquet": 80,
}
NOT_ENTRIES = ("stores/beef/_journal/t.jsonl", "datasets/mine/cat.png", "teachers/.1f0e.pt.00ff", "notes.txt")
HOLDING = """
import sys
from pathlib import Path
from tune_kd.execution.outputs_in_use import OutputsInUse
OutputsInUse(Path(sys.argv[1]), print).hold("aaaa", [sys.argv[2]], ["teachers/1f0e.pt", "pools/77aa"])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    for name in (*FILES, *NOT_ENTRIES):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(FILES.get(name, 1)))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[list[str], list[str]]:
    """The lines on stdout and on stderr."""
    assert command_line(["cache", *arguments]) == code
    captured = capsys.readouterr()
    return captured.out.splitlines(), captured.err.splitlines()


def left(cache: Path) -> set[str]:
    return {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()}


def touch(path: Path, ago_s: float) -> None:
    at_s = path.stat().st_mtime - ago_s
    os.utime(path, (at_s, at_s))


# What lies in it


def test_ls_has_a_row_a_kind_and_the_sum(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (where, header, *rows), _ = said(capsys, "ls", "--cache", str(cache))
    assert (where, header.split()[0]) == (str(cache), "kind")
    assert [row.split()[0] for row in rows] == [
        *("teachers", "checkpoints", "pools", "teacher_outputs", "data", "datasets", "calibrations", "stores"),
        "total",
    ]
    assert rows[1].split()[6:9] == ["2", "90", "bytes"]
    assert rows[-1].split()[1:4] == ["10", "550", "bytes"]


def test_ls_of_a_kind_has_its_entries_with_what_they_belong_to(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (_, _, *rows), _ = said(capsys, "ls", "checkpoints", "pools/77aa", "--cache", str(cache))
    assert [row.split()[:4] for row in rows] == [
        [f"checkpoints/{RUN}", RUN, "60", "bytes"],
        [f"checkpoints/{OTHER}", OTHER, "30", "bytes"],
        ["pools/77aa", "—", "50", "bytes"],
        ["total", "140", "bytes", rows[-1].split()[-1]],
    ]


def test_json_and_python_have_every_entry_in_bytes(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = said(capsys, "ls", "--json", "--cache", str(cache))
    document = json.loads("\n".join(lines))
    assert (document["cache"], document["bytes"]) == (str(cache), 550)
    assert {entry["name"]: entry["bytes"] for entry in document["entries"]} == ENTRIES
    frame = tune_kd.cache_ls(cache=cache).set_index("name")
    assert frame["bytes"].to_dict() == ENTRIES
    assert frame.of[f"pools/of-trials/{RUN}"] == RUN
    assert frame.of["datasets/cifar-10-batches-py"] == "cifar10"
    assert not frame.in_use.any()
    touch(cache / "teachers/1f0e.pt", 3600)
    older = tune_kd.cache_ls(["teachers"], cache=cache).used_at.item()
    assert (frame.used_at["teachers/1f0e.pt"] - older).total_seconds() == pytest.approx(3600, abs=1)


def test_a_cache_that_is_not_there_is_empty_and_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = said(capsys, "ls", "--cache", str(tmp_path / "none"))
    assert lines[-1].split()[:4] == ["total", "0", "0", "bytes"]
    assert not (tmp_path / "none").exists()


# What is removed


@pytest.mark.parametrize(
    ("what", "gone"),
    [
        (["checkpoints"], [f"checkpoints/{RUN}", f"checkpoints/{OTHER}"]),
        ([f"checkpoints/{RUN}", "data"], [f"checkpoints/{RUN}", "data/images-1.npz"]),
        (["--all"], [*ENTRIES]),
    ],
)
def test_rm_removes_what_is_named_says_so_and_removes_nothing_else(
    what: list[str], gone: list[str], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, errors = said(capsys, "rm", *what, "--cache", str(cache))
    assert lines[:-1] == [f"removed {name} ({ENTRIES[name]} bytes)" for name in gone]
    count = "1 entry" if len(gone) == 1 else f"{len(gone)} entries"
    assert lines[-1] == f"freed {sum(ENTRIES[name] for name in gone)} bytes, {count} in {cache}"
    assert errors == []
    kept = {name for name in FILES if not any(name == one or name.startswith(f"{one}/") for one in gone)}
    assert left(cache) == kept | {*NOT_ENTRIES}


def test_rm_takes_only_what_was_not_used_for_so_long(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day_s = 24 * 3600
    touch(cache / "teachers/1f0e.pt", 31 * day_s)
    touch(cache / "data/images-1.npz", 29 * day_s)
    touch(cache / f"checkpoints/{RUN}/{RUN}-0000.pt", 31 * day_s)  # its other checkpoint is new
    lines, _ = said(capsys, "rm", "--older-than", "30d", "--cache", str(cache))
    assert lines == ["removed teachers/1f0e.pt (100 bytes)", f"freed 100 bytes, 1 entry in {cache}"]
    assert tune_kd.cache_rm(["data"], older_than="28d", cache=cache).name.tolist() == ["data/images-1.npz"]


def test_a_dry_run_says_what_would_go_and_removes_nothing(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = left(cache)
    lines, _ = said(capsys, "rm", "teachers", "--dry-run", "--cache", str(cache))
    assert lines == ["would remove teachers/1f0e.pt (100 bytes)", f"would free 100 bytes, 1 entry in {cache}"]
    assert left(cache) == before


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "nothing to remove was named; give a kind (teachers, checkpoints, "),
        (["tachers"], "unknown kind or entry of the cache 'tachers'; did you mean 'teachers'?"),
        (["teachers", "--all"], "--all is everything, and teachers was named; give one of them"),
        (["--older-than", "30"], "--older-than takes a time such as 30d, 12h or 90min, got '30'"),
        (["--older-than", "5Wh"], "--older-than takes a time such as 30d, 12h or 90min, got '5Wh'"),
    ],
)
def test_rm_refuses_in_one_line_what_it_cannot_do(
    arguments: list[str], line: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = left(cache)
    lines, [error] = said(capsys, "rm", *arguments, "--cache", str(cache), code=2)
    assert lines == []
    assert error.startswith(f"tune-kd: {line}")
    assert left(cache) == before


# What is in use


def test_what_a_living_study_holds_stays_until_it_has_died(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = [
        *("teachers/1f0e.pt", f"checkpoints/{RUN}", "pools/77aa", f"pools/of-trials/{RUN}", "teacher_outputs/aaaa"),
    ]
    command = [sys.executable, "-c", HOLDING, str(cache), RUN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as study:
        assert study.stdout is not None
        assert study.stdout.readline() == "held\n"
        frame = tune_kd.cache_ls(cache=cache)
        assert frame.name[frame.in_use].tolist() == held
        assert frame.set_index("name").of["teacher_outputs/aaaa"] == RUN
        (_, _, row, _), _ = said(capsys, "ls", "teachers", "--cache", str(cache))
        assert row.endswith("in use")
        lines, errors = said(capsys, "rm", "--all", "--cache", str(cache))
        assert errors == [f"tune-kd: {name} stays, a running study holds it" for name in held]
        assert lines[-1] == f"freed 230 bytes, 5 entries in {cache}"
        study.kill()
        study.wait()
    assert tune_kd.cache_rm(all=True, cache=cache).name.tolist() == held
    assert not (cache / "teacher_outputs" / f"aaaa.{RUN}.lease").exists()


def test_a_study_finds_nothing_removed_that_it_holds_and_ends_as_ever(cache: Path) -> None:
    with OutputsInUse(cache, pytest.fail) as uses:
        uses.hold("aaaa", [RUN])
        assert not tune_kd.cache_rm(["teacher_outputs", "checkpoints"], cache=cache).in_use.any()
        assert {f"checkpoints/{RUN}/{RUN}-0000.pt", "teacher_outputs/aaaa/00000.logits.pt"} <= left(cache)
        assert not (cache / "checkpoints" / OTHER).exists()
        uses.give_up("aaaa", RUN)
    assert not (cache / "teacher_outputs" / "aaaa").exists()


def test_a_teacher_that_is_being_trained_stays(cache: Path) -> None:
    with Lease.wait(cache / ".teacher-1f0e.lock"):
        assert tune_kd.cache_rm(["teachers"], cache=cache).empty
    assert tune_kd.cache_rm(["teachers"], cache=cache).name.tolist() == ["teachers/1f0e.pt"]


# In a bucket


def test_what_is_kept_in_a_bucket_is_listed_and_removed_there(
    s3: FlakyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNE_KD_CACHE", str(tmp_path))
    url = s3.url(f"{tmp_path.name}/cache")
    kept = cache_at(url).kept
    for name in ("teachers/1f0e.pt", f"checkpoints/{RUN}/a.pt", f"checkpoints/{RUN}/b.pt", "pools/77aa/state.pt"):
        save(kept.place(name), {"name": name})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images-1.npz").write_bytes(bytes(20))
    frame = tune_kd.cache_ls(cache=url).set_index("name")
    assert [*frame.index] == ["teachers/1f0e.pt", f"checkpoints/{RUN}", "pools/77aa", "data/images-1.npz"]
    assert (frame["bytes"] > 0).all()
    assert (frame.used_at.dt.year > 2020).all()
    lines, _ = said(capsys, "rm", "checkpoints", "data", "--cache", url)
    assert lines[-1].endswith(f"2 entries in {url}")
    assert kept.names(f"checkpoints/{RUN}") == []
    assert kept.names("teachers") == ["1f0e.pt"]
    assert not (tmp_path / "data" / "images-1.npz").exists()
