"""Fault injection: writers killed at random points, and a disk that fills up."""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from store_records import contents, report, started, trial_events, write_whole_run
from store_writer import drive

from tune_kd.errors import StoreError
from tune_kd.store import create_store, open_store

KILLS = 40


def _kill_after(where: Path, run_id: str, messages: int) -> list[tuple[str, object]]:
    """Start a writer, SIGKILL it once it has said so many things, and give all that it said was on disk."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["store_writer", "tune_kd.store.store", "duckdb"])
    receiver, sender = context.Pipe(duplex=False)
    writer = context.Process(target=drive, args=(str(where), run_id, sender))
    writer.start()
    sender.close()
    said = list(_received(receiver, messages))
    writer.kill()
    said += _received(receiver, 1_000_000)
    writer.join()
    assert writer.exitcode == -9
    return said


def _received(receiver: Connection, most: int) -> Iterator[tuple[str, object]]:
    for _ in range(most):
        try:
            yield receiver.recv()
        except EOFError:  # it is dead, and the pipe is empty
            return


@pytest.mark.slow
def test_writers_killed_at_random_points_lose_nothing_and_corrupt_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("TUNE_KD_KILL_SEED", random.randrange(2**32)))
    print(f"TUNE_KD_KILL_SEED={seed}")
    chance = random.Random(seed)
    root = tmp_path / "store"
    said: list[tuple[str, object]] = []
    lost = set()
    for kill in range(KILLS):
        said += _kill_after(root, f"run{kill}", chance.randrange(1, 40))
        # What the next command does first:
        lost |= {orphan.trial_id for orphan in open_store(root).seal_orphans() if orphan.status == "lost"} - {None}
    store = open_store(root)
    assert store.verify() == []
    reports = store.reports(["trial_id", "epoch"])
    on_disk = set(zip(reports["trial_id"], reports["epoch"], strict=True))
    assert {event for event in said if isinstance(event[1], int)} <= on_disk
    assert len(on_disk) == len(reports)  # and none of them twice
    trials = store.trials(["trial_id", "status", "epochs", "energy_j"])
    status = dict(zip(trials["trial_id"], trials["status"], strict=True))
    assert len(status) == len(trials)
    assert {status[trial_id] for trial_id, event in said if event == "ended"} == {"completed"}
    assert {trial_id for trial_id in status if status[trial_id] == "lost"} == lost
    assert (trials["energy_j"].fillna(0) == 10.0 * trials["epochs"]).all()  # the cost of lost ones too
    assert set(store.runs()["status"]) == {"lost"}
    assert not list((root / "_journal").iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fill(disk: Path, *, leave: int) -> Path:
    ballast = disk / "ballast"
    statistics = os.statvfs(disk)
    ballast.write_bytes(bytes(max(0, statistics.f_bavail * statistics.f_frsize - leave)))
    return ballast


def test_a_full_disk_is_told_and_work_goes_on_once_there_is_space(small_disk: Path) -> None:
    store = create_store(small_disk / "store")
    write_whole_run(store, "before", trials=1)
    known = contents(store)
    journal = store.journal("r", "r-0000", 0)
    journal.append(started("r", 0))
    ballast = _fill(small_disk, leave=0)
    written = 0
    with pytest.raises(StoreError, match=r"cannot write the journal .*: No space left on device"):  # noqa: PT012
        for written in range(10_000):
            journal.append(report("r", 0, written + 1))
    assert len(journal.read()) == 1 + written  # what was taken is whole, what was refused left no trace
    with pytest.raises(StoreError, match=r"cannot write reports/r-0000-0.parquet .*: No space left on device"):
        store.seal("r", "r-0000", 0)
    assert contents(open_store(small_disk / "store")) == known
    ballast.unlink()
    journal.append(report("r", 0, written + 1))
    store.seal("r", "r-0000", 0)
    assert len(store.query("SELECT * FROM reports WHERE run_id = 'r'")) == written + 1
    assert store.verify() == []


def test_a_disk_that_fills_up_while_packing_leaves_the_store_as_it_was(small_disk: Path) -> None:
    store = create_store(small_disk / "store")
    write_whole_run(store, "r")
    known = contents(store)
    ballast = _fill(small_disk, leave=8192)
    with pytest.raises(StoreError, match="No space left on device"):
        store.compact()
    assert contents(open_store(small_disk / "store")) == known
    ballast.unlink()
    store.compact()
    assert contents(store) == known
    assert store.verify() == []


def test_an_orphan_on_a_full_disk_waits_for_space(small_disk: Path) -> None:
    store = create_store(small_disk / "store")
    with store.journal("r", "r-0000", 0) as journal:
        for event in trial_events("r", 0):
            journal.append(event)
    ballast = _fill(small_disk, leave=0)
    with pytest.raises(StoreError, match="No space left on device"):
        open_store(small_disk / "store").seal_orphans()
    ballast.unlink()
    assert [orphan.trial_id for orphan in open_store(small_disk / "store").seal_orphans()] == ["r-0000"]
