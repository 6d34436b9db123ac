"""Damaged files: found, named, and left out of what is read only after saying so."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_records import contents, run_row, write_trial, write_whole_run

from tune_kd.errors import StoreError
from tune_kd.store import Store, StoreWarning, create_store, open_store
from tune_kd.store.columns import SCHEMA_VERSION
from tune_kd.store.files.stamp import Fault, check, encode
from tune_kd.store.schema import to_table
from tune_kd.store.upkeep import compact

NAME = "runs/r.parquet"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = create_store(tmp_path / "store")
    write_whole_run(store, "r")
    return store


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    return tmp_path_factory.mktemp("stamp") / "file", encode(to_table("runs", [run_row("r")]), NAME)


def _fault(sealed: tuple[Path, bytes], data: bytes) -> Fault | int:
    sealed[0].write_bytes(data)
    return check(sealed[0], NAME)


def test_a_sealed_file_is_sound_and_says_its_schema_version(sealed: tuple[Path, bytes]) -> None:
    assert _fault(sealed, sealed[1]) == SCHEMA_VERSION


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_found(sealed: tuple[Path, bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(sealed[1]) - 1))
    other = data.draw(st.integers(1, 255))
    changed = bytearray(sealed[1])
    changed[place] ^= other
    assert isinstance(_fault(sealed, bytes(changed)), Fault)


@settings(max_examples=200)
@given(data=st.data())
def test_any_shorter_or_longer_file_is_found(sealed: tuple[Path, bytes], data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(sealed[1]) - 1))
    assert isinstance(_fault(sealed, sealed[1][:size]), Fault)
    tail = data.draw(st.binary(min_size=1, max_size=64))
    assert isinstance(_fault(sealed, sealed[1] + tail), Fault)


def test_the_bytes_of_a_sealed_file_follow_from_its_rows(sealed: tuple[Path, bytes]) -> None:
    assert encode(to_table("runs", [run_row("r")]), NAME) == sealed[1]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _rewrite_with_pandas(path: Path) -> None:
    frame = pd.read_parquet(path)
    frame["energy_j"] = 1.0
    frame.to_parquet(path)


def _rewrite_with_pyarrow(path: Path) -> None:
    table = pq.read_table(path)
    place = table.schema.get_field_index("energy_j")
    better = table.set_column(place, table.schema.field("energy_j"), pa.array([1.0] * len(table)))
    pq.write_table(better, path)


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(bytes(data))


def _replace_by_another_table(path: Path) -> None:
    pd.DataFrame({"x": [1]}).to_parquet(path)


def _replace_by_text(path: Path) -> None:
    path.write_text("trial_id,energy_j\n")


DAMAGES = [
    (_truncate, "truncated"),
    (_empty, "truncated"),
    (_rewrite_with_pandas, "tampered"),
    (_rewrite_with_pyarrow, "tampered"),
    (_flip_a_bit, "tampered"),
    (_replace_by_text, "foreign"),
    (_replace_by_another_table, "foreign"),
]


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize(("damage", "kind"), DAMAGES)
def test_a_damaged_file_is_named_and_the_rest_is_read_after_saying_so(
    store: Store, damage: object, kind: str, compacted: bool
) -> None:
    assert callable(damage)
    if compacted:
        store.compact()
    write_trial(store, "q", 0)
    path = sorted((Path(store.location) / "trials").glob("packed-*" if compacted else "r-0001-*"))[0]
    damage(path)
    named = f"trials/{path.name}"
    assert [(fault.file, fault.kind) for fault in open_store(store.location).verify()] == [(named, kind)]
    with pytest.warns(StoreWarning, match=rf"left out of .*store: {named} is {kind}: "):
        trials = open_store(store.location).trials()
    assert trials["trial_id"].tolist() == (["q-0000"] if compacted else ["q-0000", "r-0000", "r-0002"])


def test_a_store_opened_before_the_damage_sees_it_too(store: Store) -> None:
    assert len(store.trials()) == 3
    _truncate(Path(store.location) / "trials" / "r-0001-0.parquet")
    with pytest.warns(StoreWarning, match="r-0001-0"):
        assert len(store.trials()) == 2


def test_a_file_under_another_name_or_in_another_table_is_foreign(store: Store) -> None:
    root = Path(store.location)
    data = (root / "trials" / "r-0001-0.parquet").read_bytes()
    (root / "trials" / "r-0007-0.parquet").write_bytes(data)
    (root / "nodes" / "r-0001-0.parquet").write_bytes(data)
    faults = {fault.file: fault for fault in store.verify()}
    assert set(faults) == {"trials/r-0007-0.parquet", "nodes/r-0001-0.parquet"}
    assert all(
        (fault.kind, fault.detail) == ("foreign", "it was sealed as trials/r-0001-0.parquet")
        for fault in faults.values()
    )


def test_a_file_that_does_not_belong_there_is_foreign(store: Store) -> None:
    (Path(store.location) / "trials" / "notes.txt").write_text("remember the milk")
    assert [fault.file for fault in store.verify()] == ["trials/notes.txt"]


def test_missing_reports_and_missing_packed_files_are_found(store: Store) -> None:
    (Path(store.location) / "reports" / "r-0001-0.parquet").unlink()
    assert [(fault.file, fault.kind) for fault in store.verify()] == [("reports/r-0001-0.parquet", "missing")]
    store.compact()
    [packed] = (Path(store.location) / "nodes").iterdir()
    packed.unlink()
    assert (f"nodes/{packed.name}", "missing") in [(fault.file, fault.kind) for fault in store.verify()]
    with pytest.warns(StoreWarning, match="is missing: the manifest names it"):
        assert store.nodes().empty


def test_packed_files_whose_manifest_is_gone_are_no_leftovers(store: Store, tmp_path: Path) -> None:
    """As in a copy by what leaves out names that begin with an underscore: the rows are in no other file."""
    store.compact()
    before, manifest = contents(store), Path(store.location) / "_manifest.json"
    manifest.rename(tmp_path / "kept elsewhere")
    write_trial(store, "q", 0)
    for change in (store.compact, store.seal_orphans, lambda: store.merge(create_store(tmp_path / "other"))):
        with warnings.catch_warnings(action="ignore"), pytest.raises(StoreError, match=r"_manifest\.json .* is gone"):
            change()
    assert [(fault.file, fault.kind) for fault in store.verify()] == [("_manifest.json", "missing")]
    with pytest.warns(StoreWarning, match=r"_manifest\.json is missing: packed files that it named are not read"):
        assert store.trials()["trial_id"].tolist() == ["q-0000"]
    (tmp_path / "kept elsewhere").rename(manifest)
    assert contents(store)["runs"] == before["runs"]
    assert len(store.trials()) == 4
    assert store.verify() == []


def test_a_file_of_a_newer_schema_is_named_as_such(store: Store) -> None:
    path = Path(store.location) / "runs" / "r.parquet"
    version = b"tune-kd:schema_version\x18\x01"
    newer = path.read_bytes().replace(version + str(SCHEMA_VERSION).encode(), version + b"9")
    path.write_bytes(newer)
    assert [fault.kind for fault in store.verify()] == ["newer"]


def test_damaged_files_are_not_packed(store: Store) -> None:
    path = Path(store.location) / "trials" / "r-0001-0.parquet"
    _truncate(path)
    with pytest.warns(StoreWarning, match="r-0001-0"):
        store.compact()
    assert path.exists()
    with pytest.warns(StoreWarning, match="r-0001-0"):
        assert len(store.trials()) == 2


@pytest.mark.parametrize("table", ["trials", "reports"])
def test_a_trial_and_its_reports_are_packed_together_or_not_at_all(store: Store, table: str) -> None:
    path = Path(store.location) / table / "r-0001-0.parquet"
    sound = path.read_bytes()
    before = contents(store)
    _truncate(path)
    with pytest.warns(StoreWarning, match="r-0001-0"):
        store.compact()
    with pytest.warns(StoreWarning, match=f"{table}/r-0001-0.parquet is truncated"):
        contents(store)
    path.write_bytes(sound)  # restored from a copy
    assert contents(store) == before


def test_a_sound_store_is_read_without_a_warning(store: Store) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        contents(store)
    assert store.verify() == []


@pytest.fixture
def packed_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, dict[str, Path]]:
    """A store with the reports of two runs in a packed file each, and these files by the id of the run."""
    monkeypatch.setattr(compact, "ROWS_PER_FILE", 10)  # a packed file with half of it stays as it is
    store, of_run = create_store(tmp_path / "apart"), {}
    for run_id in ("a", "b"):
        write_whole_run(store, run_id)
        before = set(tmp_path.glob("apart/reports/*"))
        store.compact()
        [of_run[run_id]] = set(tmp_path.glob("apart/reports/packed-*")) - before
    return open_store(tmp_path / "apart"), of_run


def test_of_the_packed_files_those_alone_are_read_that_may_hold_the_run(
    packed_apart: tuple[Store, dict[str, Path]],
) -> None:
    store, of_run = packed_apart
    before = store.reports(run_ids=["b"])
    data = bytearray(of_run["a"].read_bytes())
    data[len(data) // 10] ^= 1  # among its rows: whoever reads the file finds it
    of_run["a"].write_bytes(data)
    store = open_store(store.location)
    pd.testing.assert_frame_equal(store.reports(run_ids=["b"]), before)
    assert len(before) == 9
    with pytest.warns(StoreWarning, match=of_run["a"].name):
        assert len(store.reports(run_ids=["a", "b"])) == 9


def test_a_packed_file_whose_footer_cannot_be_read_is_said_whatever_run_is_read(
    packed_apart: tuple[Store, dict[str, Path]],
) -> None:
    store, of_run = packed_apart
    _truncate(of_run["a"])
    with pytest.warns(StoreWarning, match=of_run["a"].name):
        assert len(store.reports(run_ids=["b"])) == 9
