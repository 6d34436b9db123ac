"""``store …``: what it says of real stores, what it leaves on disk, and its exit codes."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from cli_records import sealed_store, study

from tune_kd.cli import command_line
from tune_kd.meter.codecarbon_csv import emissions_columns
from tune_kd.store import Store, create_store, open_store
from tune_kd.store.schema import document

RUNS = ["s1-grid-r0", "s1-stochastic-r0"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sealed_store(tmp_path / "runs", study(["grid", "stochastic"]))
    return tmp_path / "runs"


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[str]:
    """The lines on stdout; there is nothing on stderr but the one line of an error."""
    assert command_line(["store", *arguments]) == code
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == (code != 0)
    return captured.out.splitlines()


def run_ids(store: Store) -> list[str]:
    return list(store.runs(["run_id"])["run_id"])


def test_schema_is_the_generated_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\n".join(said(capsys, "schema")) + "\n" == document()


def test_ls_lists_what_list_runs_lists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "ls", "--store", str(folder))
    assert [line.split()[0] for line in lines] == ["run", *RUNS]
    assert command_line(["list", "runs", "--store", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_a_planned_run_has_no_trials_and_no_energy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"run_id": "s2-grid-r0", "study_id": "s2", "scenario": "digits", "policy": "grid", "status": "planned"}
    open_store(folder).write_run(row)
    assert said(capsys, "ls", "--store", str(folder))[1].split() == ["s2-grid-r0", "digits", "planned", "0", "—", "—"]


def test_show_has_the_run_its_trials_and_its_nodes_with_units(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_store(folder).write_nodes(RUNS[0], [{"node_id": "node", "cpus": 2, "energy_total_j": 12.5}])
    lines = [line.split() for line in said(capsys, "show", RUNS[0], "--store", str(folder))]
    assert ["run_id", RUNS[0]] in lines
    assert ["started_at", "2026-03-01", "12:00:00", "UTC"] in lines
    assert ["0001", "0", "completed", "τ", "3", "30", "80.0", "75.0", "30.0", "mWh", "3.0", "s"] in lines
    assert ["energy_total_j", "12.5", "J"] in lines
    assert [line for line in lines if "None" in line or "NaN" in line or "<NA>" in line] == []


def test_a_sound_store_verifies(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "verify", "--store", str(folder)) == [
        f"{folder} is sound: 2 runs, every file as it was written"
    ]


def test_verify_names_what_is_damaged_and_foreign_and_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = folder / "trials" / f"{RUNS[0]}-0001-0.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    (folder / "runs" / "mine.parquet").write_bytes(b"not Parquet at all")
    lines = said(capsys, "verify", "--store", str(folder), code=1)
    assert [line.split()[:2] for line in lines[1:]] == [
        ["runs/mine.parquet", "foreign"],
        [f"trials/{RUNS[0]}-0001-0.parquet", "truncated"],
    ]


def test_compact_packs_and_changes_no_record(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = open_store(folder).trials()
    assert said(capsys, "compact", "--store", str(folder)) == [
        f"packed in {folder}: 2 of runs, 4 of trials, 4 of reports"
    ]
    assert open_store(folder).trials().equals(before)
    assert said(capsys, "compact", "--store", str(folder)) == [f"nothing to pack in {folder}"]


def test_rm_removes_one_run_with_its_records_and_what_it_alone_has_in_the_cache(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    for run_id in RUNS[:2]:
        for name in (f"checkpoints/{run_id}/trial.pt", f"pools/of-trials/{run_id}/images.pt", "teachers/t.pt"):
            (cache / name).parent.mkdir(parents=True, exist_ok=True)
            (cache / name).write_bytes(b"weights")
    arguments = ("rm", RUNS[0], "--yes", "--store", str(folder), "--cache", str(cache))
    assert said(capsys, *arguments) == [f"removed {RUNS[0]} (completed, 2 trials) from {folder}"]
    left = sorted(path.relative_to(cache).as_posix() for path in cache.rglob("*.pt"))
    assert left == [f"checkpoints/{RUNS[1]}/trial.pt", f"pools/of-trials/{RUNS[1]}/images.pt", "teachers/t.pt"]
    store = open_store(folder)
    assert run_ids(store) == RUNS[1:]
    assert set(store.trials()["run_id"]) == set(store.reports()["run_id"]) == set(RUNS[1:])


def test_rm_takes_studies_and_several_runs(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run_id in ("s2-grid-r0", "s2-stochastic-r0"):
        row = {"run_id": run_id, "study_id": "s2", "scenario": "digits", "policy": "grid", "status": "planned"}
        open_store(folder).write_run(row)
    where = ("--yes", "--store", str(folder), "--cache", str(tmp_path / "cache"))
    assert said(capsys, "rm", "s2-grid-r0", "s1", *where) == [
        f"removed 3 runs (2 completed, 1 planned; 4 trials) from {folder}"
    ]
    assert run_ids(open_store(folder)) == ["s2-stochastic-r0"]
    assert said(capsys, "rm", "s2", "s1-grid-r0", *where, code=2) == []
    assert run_ids(open_store(folder)) == ["s2-stochastic-r0"], "of a list with a wrong name nothing is removed"


@pytest.mark.parametrize(("typed", "code", "left"), [("y", 0, RUNS[1:]), ("n", 1, RUNS), ("", 1, RUNS)])
def test_rm_asks_and_takes_enter_for_a_no(folder: Path, typed: str, code: int, left: list[str]) -> None:
    entry_point = Path(sys.executable).with_name("tune-kd")
    keyboard, terminal = pty.openpty()
    os.write(keyboard, f"{typed}\n".encode())
    command = [str(entry_point), "store", "rm", RUNS[0], "--store", str(folder)]
    done = subprocess.run(command, stdin=terminal, capture_output=True, text=True, check=False)
    os.close(keyboard)
    os.close(terminal)
    assert done.returncode == code
    assert f"remove {RUNS[0]} (completed, 2 trials) from {folder}?" in done.stderr
    assert ("nothing was removed" in done.stderr) == (code == 1)
    assert run_ids(open_store(folder)) == left


def test_export_writes_all_tables_in_every_format_asked_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    files = ["--csv", str(out), "--jsonl", str(out), "--codecarbon", str(tmp_path / "emissions.csv")]
    written = [Path(line) for line in said(capsys, "export", "--store", str(folder), *files)]
    assert [path.name for path in written] == [
        *(f"{table}.{form}" for form in ("csv", "jsonl") for table in ("runs", "trials", "reports", "nodes")),
        "emissions.csv",
    ]
    with (out / "trials.csv").open(encoding="utf-8") as file:
        assert [float(row["energy_j"]) for row in csv.DictReader(file)] == pytest.approx([108.0] * 4)
    rows = [json.loads(line) for line in (out / "runs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["run_id"] for row in rows] == RUNS


def test_the_codecarbon_export_has_a_row_a_trial_in_kwh(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "export", "--store", str(folder), "--codecarbon", str(tmp_path / "emissions.csv"))
    with (tmp_path / "emissions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == emissions_columns()
    assert [float(row["energy_consumed"]) for row in rows] == pytest.approx([108.0 / 3.6e6] * 4)


def test_merge_brings_what_is_missing_and_knows_what_is_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "all")
    arguments = ("merge", str(folder), "--store", target)
    assert said(capsys, *arguments) == [
        *(f"added {run_id}" for run_id in RUNS),
        f"{target}: 2 added, 0 updated, 0 known already",
    ]
    assert said(capsys, *arguments) == [f"{target}: 0 added, 0 updated, 2 known already"]
    assert open_store(target).trials().equals(open_store(folder).trials())


def test_merge_refuses_records_that_contradict_each_other(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = create_store(tmp_path / "other")
    other.write_run({"run_id": RUNS[0], "scenario": "cifar10", "policy": "grid", "replicate": 0, "status": "completed"})
    assert command_line(["store", "merge", str(tmp_path / "other"), "--store", str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"tune-kd: run {RUNS[0]} is not the same in ")
    assert "scenario is 'digits' and 'cifar10'" in error
