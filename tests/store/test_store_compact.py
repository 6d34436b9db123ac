"""Compaction and removal: the same rows before and after, for every reader, wherever they are interrupted."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest
from store_records import (
    TABLES,
    contents,
    files_of,
    report,
    run_row,
    started,
    trial_events,
    write_trial,
    write_whole_run,
)

from tune_kd.errors import InputError, StoreError
from tune_kd.store import Store, create_store, open_store
from tune_kd.store.files.local_files import LocalFiles
from tune_kd.store.upkeep.packing import maintenance


class Crash(BaseException):
    """Stands for the death of the process: nothing of ours catches it."""


class CrashingFiles(LocalFiles):
    """A local store whose process dies before its n-th change of a file."""

    def __init__(self, root: Path, survives: int) -> None:
        super().__init__(root)
        self._left = survives
        self._lock = threading.Lock()

    def _change(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left < 0:
                raise Crash

    def publish(self, staged: Path, name: str) -> None:
        self._change()
        super().publish(staged, name)

    def remove(self, name: str) -> None:
        self._change()
        super().remove(name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = create_store(tmp_path / "store")
    for run_id in ("a", "b"):
        write_whole_run(store, run_id)
    return store


def test_compaction_changes_no_row_and_leaves_one_file_a_table(store: Store) -> None:
    before = contents(store)
    assert store.compact() == {"runs": 2, "trials": 6, "reports": 6, "nodes": 2}
    assert contents(open_store(store.location)) == before
    assert all(len(files_of(Path(store.location), table)) == 1 for table in TABLES)
    assert store.verify() == []
    assert store.compact() == dict.fromkeys(TABLES, 0)


def test_what_is_written_later_is_read_with_what_was_packed_and_packed_with_it_next(store: Store) -> None:
    store.compact()
    write_whole_run(store, "c")
    before = contents(store)
    assert len(before["trials"]) == 9
    assert store.compact()["trials"] == 3
    assert contents(store) == before
    assert len(files_of(Path(store.location), "trials")) == 1


def test_runs_that_may_go_on_stay_in_small_files(store: Store) -> None:
    for status in ("planned", "running", "failed", "lost"):
        store.write_run(run_row(f"{status}-run", status=status))
    store.compact()
    small = [name for name in files_of(Path(store.location), "runs") if not name.startswith("packed-")]
    assert small == ["failed-run.parquet", "lost-run.parquet", "planned-run.parquet", "running-run.parquet"]


def test_a_run_written_again_after_it_was_packed_counts_once_with_its_new_row(store: Store) -> None:
    store.compact()
    store.write_run(run_row("a", status="stopped", spent=3.0))
    store.write_nodes("a", [{"node_id": "node-a", "cpus": 64}])
    assert store.runs()[["run_id", "status"]].values.tolist() == [["a", "stopped"], ["b", "completed"]]
    assert store.nodes()["cpus"].tolist() == [64, 2]
    before = contents(store)
    store.compact()
    assert contents(store) == before
    assert all(len(files_of(Path(store.location), table)) == 1 for table in TABLES)


def test_a_run_written_while_it_is_being_packed_keeps_its_new_row(store: Store) -> None:
    class Meddling(LocalFiles):
        """Another process writes a run just before the manifest is switched."""

        def put(self, name: str, data: bytes) -> None:
            if name == "_manifest.json":
                store.write_run(run_row("a", status="stopped", spent=5.0))
            super().put(name, data)

    Store(Meddling(Path(store.location))).compact()
    assert store.runs().set_index("run_id").loc["a", "status"] == "stopped"


def test_a_trial_sealed_while_the_files_are_listed_is_packed_whole_or_not_at_all(store: Store) -> None:
    class Meddling(LocalFiles):
        """Another process seals a trial each time after the trials were listed."""

        index = 10

        def names(self, folder: str) -> list[str]:
            found = super().names(folder)
            if folder == "trials":
                self.index += 1
                write_trial(store, "a", self.index)
            return found

    meddled = Store(Meddling(Path(store.location)))
    sql = "SELECT count(*) AS n FROM trials LEFT JOIN reports USING (trial_id, attempt) WHERE epoch IS NULL"
    assert meddled.query(sql)["n"].tolist() == [0]
    meddled.compact()
    assert store.query(sql)["n"].tolist() == [0]
    assert len(store.reports()) == 3 * len(store.trials())
    assert store.verify() == []


def test_trials_of_a_run_that_is_driven_stay_in_small_files_until_it_has_ended(store: Store) -> None:
    store.write_run(run_row("a", status="running"))
    assert store.compact() == {"runs": 1, "trials": 3, "reports": 3, "nodes": 1}
    store.rewrite([*trial_events("a", 0), report("a", 0, 4)])
    store.write_run(run_row("a"))
    assert store.compact() == {"runs": 1, "trials": 3, "reports": 3, "nodes": 1}
    assert store.trials()["energy_j"].tolist() == [40.0, 30.0, 30.0, 30.0, 30.0, 30.0]
    assert store.verify() == []


def test_a_sealed_attempt_takes_what_comes_late_until_it_is_packed(store: Store) -> None:
    late = [*trial_events("a", 0), report("a", 0, 4)]
    store.rewrite(late)
    assert store.trials().set_index("trial_id").loc["a-0000", "energy_j"] == 40.0
    store.compact()
    before = contents(store)
    with pytest.raises(StoreError, match="trial a-0000 is packed already"):
        store.rewrite([*late, report("a", 0, 5)])
    assert contents(store) == before


def test_unsealed_attempts_are_left_alone(store: Store) -> None:
    with store.journal("c", "c-0000", 0) as journal:
        journal.append(started("c", 0))
        store.compact()
        store.seal("c", "c-0000", 0)
    assert store.trials()["trial_id"].tolist()[-1] == "c-0000"


@pytest.mark.slow
def test_compaction_that_dies_anywhere_changes_no_row_and_is_finished_by_the_next_command(tmp_path: Path) -> None:
    root = tmp_path / "store"
    write_whole_run(create_store(root), "a")
    before = contents(open_store(root))
    for survives in itertools.count():
        write_trial(open_store(root), "a", 10 + survives)
        before = contents(open_store(root))
        dying = Store(CrashingFiles(root, survives))
        try:
            dying.compact()
        except Crash:
            assert contents(open_store(root)) == before
        else:
            break
        open_store(root).seal_orphans()
        assert contents(open_store(root)) == before
        assert open_store(root).verify() == []
    assert survives > 8  # it did die at every step
    assert contents(open_store(root)) == before


@pytest.mark.slow
def test_removal_that_dies_anywhere_shows_the_run_whole_or_not_at_all(tmp_path: Path) -> None:
    for survives in itertools.count():
        root = tmp_path / f"store{survives}"
        store = create_store(root)
        write_whole_run(store, "a", trials=1)
        store.compact()
        write_whole_run(store, "b", trials=1)
        write_trial(store, "a", 5)
        whole = contents(store)
        without = {table: [row for row in rows if row["run_id"] != "a"] for table, rows in whole.items()}
        try:
            Store(CrashingFiles(root, survives)).remove_run("a")
        except Crash:
            assert contents(open_store(root)) in (whole, without)
        else:
            break
        removed = contents(open_store(root)) == without
        open_store(root).seal_orphans()
        assert contents(open_store(root)) == (without if removed else whole)
        assert open_store(root).verify() == []
    assert survives > 8
    assert contents(open_store(root)) == without


def test_removal_takes_the_runs_journals_too(store: Store) -> None:
    with store.journal("a", "a-0009", 0) as journal:
        journal.append(started("a", 9))
    with store.journal("b", "b-0009", 0) as journal:
        journal.append(started("b", 9))
    store.remove_run("a")
    assert [orphan.trial_id for orphan in store.seal_orphans()] == ["b-0009"]


def test_removal_spares_runs_whose_names_begin_alike(store: Store) -> None:
    for run_id in ("a-0001", "a-0001-0", "ab"):
        write_whole_run(store, run_id, trials=1)
    store.remove_run("a")
    assert store.runs()["run_id"].tolist() == ["a-0001", "a-0001-0", "ab", "b"]
    assert store.verify() == []
    assert len(store.nodes()) == 4


def test_a_run_that_is_driven_or_unknown_is_not_removed(store: Store) -> None:
    with open_store(store.location).lease("a"), pytest.raises(InputError, match="is being driven"):
        store.remove_run("a")
    with pytest.raises(InputError, match="unknown run or study 'c'"):
        store.remove_run("a", "c")
    with open_store(store.location).lease("b"), pytest.raises(InputError, match="is being driven"):
        store.remove_run("a", "b")
    assert len(store.runs()) == 2


def test_two_compactions_at_once_are_refused(store: Store) -> None:
    with maintenance(store.files), pytest.raises(StoreError, match="by another process; try again"):
        open_store(store.location).compact()


def test_a_reader_sees_one_state_while_compactions_go_on(store: Store) -> None:
    stop = threading.Event()
    errors: list[BaseException] = []

    def keep_compacting() -> None:
        writer = open_store(store.location)
        try:
            for index in range(8):
                write_trial(writer, "z", index, epochs=1)
                writer.compact()
        except BaseException as error:
            errors.append(error)
        finally:
            stop.set()

    thread = threading.Thread(target=keep_compacting)
    thread.start()
    counts = []
    while not stop.is_set():
        sql = "SELECT count(*) AS n, count(DISTINCT (trial_id, attempt)) AS keys FROM trials WHERE run_id != 'z'"
        counts.append(tuple(store.query(sql).iloc[0]))
    thread.join()
    assert errors == []
    assert counts
    assert set(counts) == {(6, 6)}
