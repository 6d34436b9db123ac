"""Journals that are read while others write them: whole lines, once each, and nothing of the store is touched."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from store_records import ended, examined, report, run_row, started, write_trial

from analysis.runs.reading import read
from tune_kd.store import Store, create_store
from tune_kd.store.files.driver import Driver
from tune_kd.store.reading.under_way import RUNNING


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(tmp_path / "runs")


def journal_file(store: Store) -> Path:
    [path] = (store.files.state / "_journal").iterdir()
    return path


def test_a_journal_that_ends_anywhere_gives_its_whole_epochs(store: Store) -> None:
    with store.journal("r", "r-0000", 0) as journal:
        for event in (started("r", 0), *(report("r", 0, epoch) for epoch in (1, 2, 3))):
            journal.append(event)
    whole = journal_file(store).read_bytes()
    ends = [at for at, byte in enumerate(whole) if byte == ord("\n")]
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    anywhere = random.Random(seed).sample(range(len(whole)), 60)
    for size in sorted({0, len(whole), *(end + near for end in ends for near in (-1, 0, 1)), *anywhere}):
        journal_file(store).write_bytes(whole[:size])
        lines = sum(end <= size for end in ends)  # one that only lacks its end is whole
        seen = store.under_way()
        assert seen.faults == ()
        assert len(seen.trials) == (lines > 0)
        assert len(seen.reports) == max(lines - 1, 0)


def test_an_attempt_under_way_is_told_from_one_whose_test_is_waited_for(store: Store) -> None:
    with store.journal("r", "r-0000", 0) as first, store.journal("r", "r-0001", 0) as second:
        for journal, index in ((first, 0), (second, 1)):
            journal.append(started("r", index))
            journal.append(report("r", index, 1))
        second.append(ended("r", 1))
        going = store.under_way().trials
    assert list(going["status"]) == [RUNNING, "completed"]
    assert list(going["error"].isna()) == [True, True]
    assert list(going["energy_j"]) == [10.0, 10.0]


def test_what_is_journalled_is_what_will_be_sealed(store: Store) -> None:
    journal = store.journal("r", "r-0000", 0)
    for event in (started("r", 0), report("r", 0, 1), report("r", 0, 2), ended("r", 0), examined("r", 0)):
        journal.append(event)
    going = store.under_way()
    store.seal("r", "r-0000", 0)
    pd.testing.assert_frame_equal(going.trials, store.trials())
    pd.testing.assert_frame_equal(going.reports, store.reports())


def test_what_is_sealed_between_two_looks_is_there_once(store: Store) -> None:
    store.write_run(run_row("r", status="running"))
    journal = store.journal("r", "r-0000", 0)
    for event in (started("r", 0), report("r", 0, 1), ended("r", 0), examined("r", 0)):
        journal.append(event)
    going = store.under_way()
    store.seal("r", "r-0000", 0)
    records = read(store, epochs=True, under_way=going)
    assert list(records.trials["trial_id"]) == ["r-0000"]
    assert list(records.reports["epoch"]) == [1]


def test_a_damaged_journal_is_said_and_hides_no_other(store: Store) -> None:
    for index in (0, 1):
        with store.journal("r", f"r-000{index}", 0) as journal:
            journal.append(started("r", index))
            journal.append(report("r", index, 1))
    broken = store.files.state / "_journal" / "r-0000-0.jsonl"
    broken.write_bytes(b"garbage\n" + broken.read_bytes())
    seen = store.under_way()
    assert list(seen.trials["trial_id"]) == ["r-0001"]
    assert len(seen.faults) == 1
    assert "r-0000-0.jsonl, line 1, is damaged" in seen.faults[0]


def test_runs_can_be_chosen(store: Store) -> None:
    for run_id in ("a", "b"):
        with store.journal(run_id, f"{run_id}-0000", 0) as journal:
            journal.append(started(run_id, 0))
    assert list(store.under_way(run_ids=["b"]).trials["run_id"]) == ["b"]


def test_looking_changes_no_file_and_holds_nobody_up(store: Store) -> None:
    write_trial(store, "r", 0)
    journal = store.journal("r", "r-0001", 0)
    journal.append(started("r", 1))
    before = {path: path.stat().st_mtime_ns for path in store.files.state.rglob("*")}
    store.under_way()
    assert {path: path.stat().st_mtime_ns for path in store.files.state.rglob("*")} == before
    journal.append(report("r", 1, 1))
    assert len(store.under_way().reports) == 1
    store.seal("r", "r-0001", 0)
    assert store.under_way().trials.empty


def test_the_driver_of_a_run_is_known_and_whether_it_has_died(store: Store) -> None:
    assert store.driver("r") is None
    with store.lease("r"):
        assert store.driver("r") == Driver.here()
        assert not Driver.here().gone
    assert store.driver("r") is None
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    here = Driver.here()
    assert Driver(process=int(dead.stdout), host=here.host).gone
    assert not Driver(process=int(dead.stdout), host="elsewhere").gone
    assert not Driver(process=os.getppid(), host=here.host).gone
