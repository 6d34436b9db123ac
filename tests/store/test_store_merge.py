"""Merging: everything arrives once, the same run is recognised, a conflict is refused before anything is written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from store_records import at, contents, report, run_row, started, write_trial, write_whole_run

from tune_kd.errors import StoreError
from tune_kd.store import Store, create_store, open_store


@pytest.fixture
def laptop(tmp_path: Path) -> Store:
    store = create_store(tmp_path / "laptop")
    write_whole_run(store, "a")
    return store


@pytest.fixture
def cluster(tmp_path: Path) -> Store:
    store = create_store(tmp_path / "cluster")
    write_whole_run(store, "b")
    write_whole_run(store, "c")
    store.compact()
    write_whole_run(store, "d")
    return store


@pytest.fixture
def target(tmp_path: Path) -> Store:
    return create_store(tmp_path / "all")


def _copy(store: Store, name: str) -> Store:
    return open_store(shutil.copytree(store.location, Path(store.location).parent / name))


def _everything(*stores: Store) -> dict[str, list[dict[str, object]]]:
    tables = [contents(store) for store in stores]
    return {table: sorted((row for rows in tables for row in rows[table]), key=str) for table in tables[0]}


def test_all_runs_arrive_whole(target: Store, laptop: Store, cluster: Store) -> None:
    merged = target.merge(laptop, cluster)
    assert (merged.added, merged.updated, merged.known) == (["a", "b", "c", "d"], [], [])
    assert _everything(target) == _everything(laptop, cluster)
    assert target.verify() == []


def test_the_same_run_twice_is_recognised(target: Store, laptop: Store) -> None:
    target.merge(laptop)
    before = contents(target)
    merged = target.merge(laptop, _copy(laptop, "copy"))
    assert (merged.added, merged.updated, merged.known) == ([], [], ["a", "a"])
    assert contents(target) == before


def test_a_run_that_went_on_elsewhere_brings_what_is_new(target: Store, laptop: Store) -> None:
    laptop.write_run(run_row("a", status="lost", ended_at=at(60)))
    target.merge(laptop)
    write_trial(laptop, "a", 3)
    laptop.write_nodes("a", [{"node_id": "node-a", "cpus": 2, "python": "3.11", "energy_total_j": 5.0}])
    laptop.write_run(run_row("a", spent=4.0, ended_at=at(200)))
    merged = target.merge(laptop)
    assert (merged.added, merged.updated, merged.known) == ([], ["a"], [])
    assert contents(target) == contents(laptop)
    assert target.verify() == []


def test_an_older_copy_takes_nothing_back(target: Store, laptop: Store) -> None:
    old = _copy(laptop, "old")
    write_trial(laptop, "a", 3)
    laptop.write_run(run_row("a", spent=4.0, ended_at=at(200)))
    target.merge(laptop)
    assert target.merge(old).known == ["a"]
    assert contents(target) == contents(laptop)


def test_a_run_with_one_id_and_another_content_is_refused(target: Store, laptop: Store, cluster: Store) -> None:
    other = create_store(Path(target.location).parent / "other")
    write_whole_run(other, "a", policy="tpe")
    with pytest.raises(StoreError, match=r"run a is not the same in .*laptop and .*other: policy is 'grid' and 'tpe'"):
        target.merge(cluster, laptop, other)
    assert target.runs().empty


@pytest.mark.parametrize("change", [{"energy_j": 11.0}, {"train_loss": 9.0}])
def test_an_attempt_with_another_content_is_refused(target: Store, laptop: Store, change: dict[str, Any]) -> None:
    """A report's train_loss is in the reports only, its energy in the trial's row too."""
    other = create_store(Path(target.location).parent / "other")
    both: list[tuple[Store, dict[str, Any]]] = [(laptop, {}), (other, change)]
    for store, changes in both:
        with store.journal("a", "a-0007", 0) as journal:
            journal.append(started("a", 7))
            journal.append(report("a", 7, 1, **changes))
        store.seal_orphans()
    other.write_run(run_row("a"))
    target.merge(laptop)
    before = contents(target)
    with pytest.raises(StoreError, match="attempt 0 at trial a-0007 is not the same"):
        target.merge(other)
    assert contents(target) == before


def test_a_loss_that_is_not_a_number_is_no_conflict(target: Store, laptop: Store) -> None:
    with laptop.journal("a", "a-0007", 0) as journal:
        journal.append(started("a", 7))
        journal.append(report("a", 7, 1, val_loss=float("nan")))
    laptop.seal_orphans()
    laptop.write_run(run_row("a", teacher_val_score=float("nan")))
    target.merge(laptop)
    assert target.merge(laptop).known == ["a"]


def test_a_store_merged_into_itself_stays_as_it_is(laptop: Store) -> None:
    before = contents(laptop)
    assert laptop.merge(open_store(laptop.location)).known == ["a"]
    assert contents(laptop) == before
