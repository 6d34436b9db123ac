"""Writing: attempts are sealed whole, runs have one driver, and what dead drivers left is sealed as lost."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from store_records import (
    at,
    contents,
    ended,
    files_of,
    report,
    run_row,
    started,
    trial_events,
    write_trial,
)
from store_writer import write_runs

from tune_kd.errors import InputError, StoreError
from tune_kd.store import Store, StoreWarning, create_store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(tmp_path / "store")


def test_a_sealed_attempt_is_one_file_a_table_and_no_journal(store: Store) -> None:
    write_trial(store, "r", 1, epochs=5)
    root = Path(store.location)
    assert files_of(root, "trials") == ["r-0001-0.parquet"]
    assert files_of(root, "reports") == ["r-0001-0.parquet"]
    assert files_of(root, "_journal") == []
    assert files_of(root, "_staging") == []
    assert store.reports()["epoch"].tolist() == [1, 2, 3, 4, 5]


def test_seal_gives_the_rows_it_wrote(store: Store) -> None:
    sealed = write_trial(store, "r", 1)
    assert (sealed.trial["status"], sealed.trial["energy_j"], len(sealed.reports)) == ("completed", 30.0, 3)


def test_an_attempt_that_died_before_its_first_report_has_a_row_and_no_reports(store: Store) -> None:
    journal = store.journal("r", "r-0000", 0)
    journal.append(started("r", 0))
    journal.append(ended("r", 0, status="failed", error="boom"))
    store.seal("r", "r-0000", 0)
    trials = store.trials()
    assert trials["epochs"].tolist() == [0]
    assert trials["energy_j"].isna().all()
    assert store.reports().empty
    assert store.verify() == []


def test_a_closed_journal_can_still_be_sealed(store: Store) -> None:
    with store.journal("r", "r-0000", 0) as journal:
        for event in trial_events("r", 0):
            journal.append(event)
    store.seal("r", "r-0000", 0)
    assert store.seal_orphans() == []
    assert store.trials()["status"].tolist() == ["completed"]


def test_sealing_an_attempt_that_was_not_journalled_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="no open journal for attempt 0 at trial r-0009"):
        store.seal("r", "r-0009", 0)


def test_a_sealed_attempt_is_not_journalled_again(store: Store) -> None:
    write_trial(store, "r", 0)
    with pytest.raises(StoreError, match="sealed already"):
        store.journal("r", "r-0000", 0)
    write_trial(store, "r", 0, attempt=1)
    assert store.trials()["attempt"].tolist() == [0, 1]


@pytest.mark.parametrize("trial_id", ["other-0001", "r", "r-x", "../r-0001", "r-0001/x", ""])
def test_a_trial_whose_id_does_not_tell_its_run_is_refused(store: Store, trial_id: str) -> None:
    with pytest.raises(StoreError, match="a trial's id is its run's id and its index"):
        store.journal("r", trial_id, 0)


@pytest.mark.parametrize("run_id", ["", "../up", "a b", ".hidden", "packed", "packed-1", "x" * 200])
def test_a_run_whose_id_cannot_name_its_files_is_refused(store: Store, run_id: str) -> None:
    with pytest.raises(StoreError, match=r"a run_id (is made of letters|does not begin with 'packed-')"):
        store.write_run(run_row(run_id))


def test_a_run_row_replaces_the_one_before(store: Store) -> None:
    store.write_run(run_row("r", status="planned", ended_at=None))
    store.write_run(run_row("r", status="running", ended_at=None))
    assert store.runs()["status"].tolist() == ["running"]


def test_a_node_row_replaces_the_one_of_the_same_node_and_run(store: Store) -> None:
    store.write_nodes("r", [{"node_id": "10.0.0.1/a b", "cpus": 2}, {"node_id": "n2"}])
    store.write_nodes("r", [{"node_id": "10.0.0.1/a b", "cpus": 4}])
    store.write_nodes("q", [{"node_id": "n2"}])
    rows = store.nodes()[["run_id", "node_id", "cpus"]]
    assert rows.fillna(0).values.tolist() == [["q", "n2", 0], ["r", "10.0.0.1/a b", 4], ["r", "n2", 0]]


def test_a_journal_nobody_holds_is_sealed_as_lost_with_its_cost(store: Store) -> None:
    with store.journal("r", "r-0000", 0) as journal:
        journal.append(started("r", 0))
        journal.append(report("r", 0, 1))
        journal.append(report("r", 0, 2))
    [orphan] = open_store(store.location).seal_orphans()
    assert (orphan.trial_id, orphan.attempt, orphan.status) == ("r-0000", 0, "lost")
    assert (orphan.epochs, orphan.energy_j) == (2, 20.0)
    assert store.trials()[["status", "energy_j"]].values.tolist() == [["lost", 20.0]]
    assert len(store.reports()) == 2
    assert store.seal_orphans() == []


def test_an_orphan_whose_end_was_journalled_keeps_its_status(store: Store) -> None:
    with store.journal("r", "r-0000", 0) as journal:
        for event in trial_events("r", 0):
            journal.append(event)
    [orphan] = store.seal_orphans()
    assert orphan.status == "completed"
    assert store.trials()["test_score"].tolist() == [0.875]


def test_a_journal_that_is_being_written_is_left_alone(store: Store) -> None:
    with store.journal("r", "r-0000", 0) as journal:
        journal.append(started("r", 0))
        assert open_store(store.location).seal_orphans() == []
        journal.append(ended("r", 0))
        store.seal("r", "r-0000", 0)
    assert store.trials()["status"].tolist() == ["completed"]


def test_an_empty_journal_is_dropped(store: Store) -> None:
    store.journal("r", "r-0000", 0).close()
    assert store.seal_orphans() == []
    assert files_of(Path(store.location), "_journal") == []


def test_a_damaged_journal_is_named_and_kept_and_the_others_are_sealed(store: Store) -> None:
    for index in (0, 1):
        with store.journal("r", f"r-{index:04d}", 0) as journal:
            journal.append(started("r", index))
    damaged = Path(store.location) / "_journal" / "r-0000-0.jsonl"
    damaged.write_bytes(b"\x00garbage\n" + damaged.read_bytes())
    with pytest.warns(StoreWarning, match=r"left unsealed: r-0000-0.jsonl: .* line 1, is damaged"):
        sealed = store.seal_orphans()
    assert [orphan.trial_id for orphan in sealed] == ["r-0001"]
    assert damaged.exists()
    assert [(fault.file, fault.kind) for fault in store.verify()] == [("_journal/r-0000-0.jsonl", "tampered")]


def test_a_journal_whose_row_does_not_fit_is_named_and_kept_and_the_others_are_sealed(store: Store) -> None:
    for index, seed in enumerate([2**70, 1]):
        with store.journal("r", f"r-{index:04d}", 0) as journal:
            journal.append(started("r", index, seed=seed))
    with pytest.warns(StoreWarning, match=r"left unsealed: r-0000-0.jsonl: trials.seed must be int"):
        sealed = store.seal_orphans()
    assert [orphan.trial_id for orphan in sealed] == ["r-0001"]


def test_sealing_again_after_a_crash_before_the_journal_was_dropped_changes_nothing(store: Store) -> None:
    with store.journal("r", "r-0000", 0) as journal:
        for event in trial_events("r", 0):
            journal.append(event)
        kept = journal.path.read_bytes()
        store.seal("r", "r-0000", 0)
    before = contents(store)
    journal.path.write_bytes(kept)
    store.seal_orphans()
    assert contents(store) == before
    assert not journal.path.exists()


def test_sealing_again_after_a_crash_and_a_compaction_does_not_double_the_trial(store: Store) -> None:
    with store.journal("r", "r-0000", 0) as journal:
        for event in trial_events("r", 0):
            journal.append(event)
        kept = journal.path.read_bytes()
        store.seal("r", "r-0000", 0)
    before = contents(store)
    store.compact()
    journal.path.write_bytes(kept)
    assert store.seal_orphans() == []
    assert contents(store) == before
    assert not journal.path.exists()


def test_reports_without_their_trial_are_not_committed_and_not_read(store: Store) -> None:
    write_trial(store, "r", 0)
    (Path(store.location) / "trials" / "r-0000-0.parquet").unlink()
    assert store.reports().empty
    assert store.query("SELECT count(*) AS n FROM reports")["n"].tolist() == [0]


def test_two_drivers_on_one_run_are_refused_in_one_line(store: Store) -> None:
    other = open_store(store.location)
    with store.lease("r"):
        with (
            pytest.raises(InputError, match=r"run r is being driven by process \d+ on ") as refused,
            other.lease("r"),
        ):
            pass
        assert "\n" not in str(refused.value)
        with other.lease("another"):
            pass
    with other.lease("r"):
        pass


def test_a_run_whose_driver_is_gone_is_lost_with_its_last_sign_of_life(store: Store) -> None:
    store.write_run(run_row("r", status="running", ended_at=None))
    write_trial(store, "r", 0)
    [orphan] = store.seal_orphans()
    assert (orphan.run_id, orphan.trial_id, orphan.status) == ("r", None, "lost")
    [run] = contents(store)["runs"]
    assert (run["status"], run["ended_at"], run["seed"]) == ("lost", at(50), 7)
    assert run["error"]


def test_a_run_that_is_being_driven_is_not_lost(store: Store) -> None:
    with store.lease("r"):
        store.write_run(run_row("r", status="running", ended_at=None))
        assert open_store(store.location).seal_orphans() == []
    assert store.runs()["status"].tolist() == ["running"]


@pytest.mark.parametrize("status", ["planned", "completed", "stopped", "failed", "lost"])
def test_only_running_runs_can_be_lost(store: Store, status: str) -> None:
    store.write_run(run_row("r", status=status))
    assert store.seal_orphans() == []
    assert store.runs()["status"].tolist() == [status]


def test_two_drivers_on_one_store_are_safe(store: Store) -> None:
    spawn = multiprocessing.get_context("spawn")
    drivers = [spawn.Process(target=write_runs, args=(store.location, name, 5)) for name in ("a", "b")]
    for driver in drivers:
        driver.start()
    write_runs(store.location, "c", 5)
    for driver in drivers:
        driver.join()
        assert driver.exitcode == 0
    counts = store.query("SELECT count(*) AS n, count(DISTINCT run_id) AS runs, sum(energy_j) AS j FROM trials")
    assert counts.values.tolist() == [[30, 15, 900.0]]
    assert set(store.runs()["status"]) == {"completed"}
    assert store.verify() == []
