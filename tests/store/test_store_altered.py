"""Packed rows against what was sealed: what differs is found, and stays so; what nobody can compare is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_records import sealed_store, study
from store_records import contents, run_row, write_whole_run

from tune_kd.store import Store, create_store, open_store
from tune_kd.store.files import manifest, rows, stamp
from tune_kd.store.schema import to_table


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a store of two runs lies, all of it packed."""
    store = create_store(tmp_path_factory.mktemp("packed") / "runs")
    for run_id in ("a", "b"):
        write_whole_run(store, run_id)
    store.compact()
    return Path(store.location)


@pytest.fixture
def store(packed: Path, tmp_path: Path) -> Store:
    """A copy of it."""
    return open_store(shutil.copytree(packed, tmp_path / "seed=3" / "runs"))


def repack(store: Store, table: str, column: str, value: object, *, sealed: bool) -> str:
    """Pack a table again with one value in every row of ``column``, as older code did; the file's name in the store.

    ``sealed`` says whether the file keeps the digest of the rows as they were.
    """
    [path] = (Path(store.location) / table).glob("packed-*")
    name = f"{table}/{path.name}"
    right = pq.ParquetFile(path).read().replace_schema_metadata(None)
    place, field = right.schema.get_field_index(column), right.schema.field(column)
    wrong = right.set_column(place, field, pa.array([value] * len(right), field.type))
    digest = stamp.sealed_rows(path)
    assert digest == rows.digest(right)
    writer = stamp.packer(path, right.schema)
    writer.write_table(wrong)
    stamp.close(writer, name, sealed_rows=digest if sealed else None)
    stamp.stamp(path)
    return name


def faults(store: Store) -> list[tuple[str, str]]:
    return [(fault.file, fault.kind) for fault in open_store(store.location).verify()]


def test_the_digest_of_rows_is_the_same_in_any_order_and_for_ever() -> None:
    table = to_table("runs", [run_row("a", spent=1.5, code_dirty=True), run_row("b", spent=float("nan"))])
    table = table.set_column(0, table.schema.field(0), [[1, 1]])  # the schema's version when this was written down
    assert rows.digest(table) == rows.digest(table.take([1, 0])) == 10119850999995149380
    assert (rows.digest(table[:1]) + rows.digest(table[1:])) % rows.MODULUS == rows.digest(table)
    assert rows.digest(table.drop_columns("error")) == rows.digest(table)  # null in all rows


@pytest.mark.parametrize("change", [{"spent": 1.5000000000000002}, {"seed": 8}, {"policy": "grie"}, {"spent": None}])
def test_any_other_value_is_another_digest(change: dict[str, object]) -> None:
    one, other = (to_table("runs", [run_row("a", **{"spent": 1.5, **change})]) for change in ({}, change))
    assert rows.digest(one) != rows.digest(other)


def test_values_that_changed_places_are_another_digest() -> None:
    one = to_table("runs", [run_row("a", seed=1), run_row("b", seed=2)])
    other = to_table("runs", [run_row("a", seed=2), run_row("b", seed=1)])
    assert rows.digest(one) != rows.digest(other)


@pytest.mark.parametrize("then", [lambda store: None, lambda store: store.remove_run("a"), Store.compact])
def test_packed_rows_that_are_not_those_sealed_are_found_whatever_is_packed_next(
    store: Store, then: Callable[[Store], object]
) -> None:
    repack(store, "trials", "seed", 3, sealed=True)
    write_whole_run(store, "c")
    then(store)
    [(file, kind)] = faults(store)
    assert (file.startswith("trials/packed-"), kind) == (True, "altered")


def test_of_what_an_older_version_packed_it_is_said_that_nobody_can_compare_it(store: Store) -> None:
    before = contents(store)
    name = repack(store, "runs", "seed", 3, sealed=False)
    [unknown] = store.uncompared()
    assert str(unknown) == (
        f"{name} is not compared: an older tune-kd packed it and did not keep what had been sealed; "
        "every row's seed is '3', as in the name of the folder 'seed=3' above it"
    )
    assert faults(store) == []  # every run may have had the seed 3
    assert contents(store)["trials"] == before["trials"]


def test_what_nobody_can_compare_stays_apart_when_more_is_packed(store: Store) -> None:
    name = repack(store, "trials", "tau", 4.0, sealed=False)
    write_whole_run(store, "c")
    store.compact()
    [unknown] = store.uncompared()
    assert unknown.file.startswith("trials/")
    assert unknown.file != name
    assert len(manifest.read(store.files).packed["trials"]) == 2
    assert store.verify() == []


CONTRADICTIONS = [
    ("runs", "status", "old", "a status is none of a run"),
    ("runs", "policy", "mine", "a run's id does not name its policy and replicate"),
    ("runs", "scenario", "x", "a scenario is not that of its JSON"),
    ("runs", "seed", 3, "a run's seed is not that of its study_seed and replicate"),
    ("runs", "run_id", "x", "rows have the same run_id"),
    ("trials", "status", "old", "a status is none of a trial"),
    ("trials", "run_id", "x", "a trial's id does not name its run"),
    ("trials", "index", 9, "a trial's id does not name its index"),
    ("trials", "seed", 3, "the trials of a run have one seed"),
    ("reports", "run_id", "x", "a trial's id does not name its run"),
    ("reports", "epoch", 1, "rows have the same run_id, trial_id, attempt, epoch"),
]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A planned study, whose runs and trials have the ids and seeds that plans give."""
    store = sealed_store(tmp_path_factory.mktemp("planned") / "runs", study(["grid", "stochastic"]))
    store.compact()
    return store


@pytest.mark.parametrize(("table", "column", "value", "said"), CONTRADICTIONS)
def test_packed_rows_that_contradict_themselves_are_found_where_nobody_kept_what_was_sealed(
    planned: Store, table: str, column: str, value: object, said: str
) -> None:
    [path] = (Path(planned.location) / table).glob("packed-*")
    right = path.read_bytes()
    try:
        name = repack(planned, table, column, value, sealed=False)
        found = [fault for fault in open_store(planned.location).verify() if fault.kind == "contradictory"]
    finally:
        path.write_bytes(right)
    assert [fault.file for fault in found] == [name]
    assert said in found[0].detail
