"""Reading: the same types whatever is null, the same rows from every reader, before and after compaction."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from store_records import TABLES, run_row, started, write_trial, write_whole_run

from tune_kd.errors import StoreError
from tune_kd.store import Store, create_store, open_store
from tune_kd.store.schema import SCHEMAS


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = create_store(tmp_path / "store")
    write_whole_run(store, "a")
    write_whole_run(store, "b", policy="tpe")
    return store


@pytest.mark.parametrize("table", TABLES)
def test_dtypes_are_the_same_in_an_empty_store_and_in_a_full_one(store: Store, tmp_path: Path, table: str) -> None:
    empty = getattr(create_store(tmp_path / "empty"), table)()
    full = getattr(store, table)()
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert list(full.columns) == SCHEMAS[table].names
    assert len(full) > 0


def test_a_column_of_nulls_keeps_its_type(store: Store) -> None:
    trials = store.trials()
    assert trials["peak_memory_bytes"].isna().all()
    assert trials["peak_memory_bytes"].dtype == pd.Int64Dtype()
    assert trials["energy_gpu_j"].isna().all()
    assert trials["energy_gpu_j"].dtype == "float64"
    assert trials["epochs"].dtype == "int64"
    assert str(trials["started_at"].dtype) == "datetime64[us, UTC]"
    assert store.runs()["code_dirty"].dtype == pd.BooleanDtype()


def test_an_integer_tau_and_a_real_one_in_different_files_stay_what_they_are(store: Store) -> None:
    for index, tau in enumerate([2, 1.5]):
        with store.journal("c", f"c-{index:04d}", 0) as journal:
            journal.append(started("c", index, tau=tau, params={"tau": tau}))
    store.seal_orphans()
    sql = "SELECT tau FROM trials WHERE run_id = 'c' ORDER BY trial_id"
    assert store.query(sql)["tau"].tolist() == [2.0, 1.5]
    store.compact()
    assert store.query(sql)["tau"].tolist() == [2.0, 1.5]


def test_rows_come_in_the_order_of_their_key_however_they_were_written(tmp_path: Path) -> None:
    store = create_store(tmp_path)
    for index in (3, 1, 2):
        write_trial(store, "r", index, attempt=1)
        write_trial(store, "r", index)
    keys = store.reports(["trial_id", "attempt", "epoch"]).values.tolist()
    assert keys == sorted(keys)
    assert len(keys) == 18


def test_chosen_columns_come_in_the_schemas_order(store: Store) -> None:
    assert list(store.trials(["tau", "run_id"]).columns) == ["run_id", "tau"]
    with pytest.raises(StoreError, match=r"trials has no column 'accuracy'; did you mean 'val_accuracy'\?"):
        store.trials(["accuracy"])


def test_nested_figures_come_back_as_they_were(store: Store) -> None:
    first = store.trials().iloc[0]
    assert [list(row) for row in first["confusion"]] == [[3, 1], [0, 4]]
    assert first["per_class"][1] == {"precision": 0.8, "recall": 1.0, "f1": 8 / 9}


def test_a_query_sees_all_four_tables(store: Store) -> None:
    rows = store.query("""
        SELECT policy, count(*) AS reports, any_value(cpus) AS cpus FROM runs
        JOIN trials USING (run_id) JOIN reports USING (trial_id, attempt) JOIN nodes ON nodes.run_id = runs.run_id
        GROUP BY policy ORDER BY policy
    """)
    assert rows.values.tolist() == [["grid", 9, 2], ["tpe", 9, 2]]


@pytest.mark.parametrize("sql", ["SELECT nonsense FROM trials", "SELEC 1", "SELECT * FROM trialz"])
def test_a_query_that_does_not_run_is_refused_in_one_line(store: Store, sql: str) -> None:
    with pytest.raises(StoreError, match="cannot run this query: ") as refused:
        store.query(sql)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("sql", ["CREATE TABLE t (a INTEGER)", "COPY trials TO 'x.csv'", "SELECT 1; SELECT 2", ""])
def test_what_is_not_one_query_is_refused(store: Store, sql: str) -> None:
    with pytest.raises(StoreError, match="give one query that returns rows"):
        store.query(sql)


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("table", TABLES)
def test_every_reader_opens_a_tables_folder_in_one_line(store: Store, table: str, compacted: bool) -> None:
    if compacted:
        store.compact()
    folder = Path(store.location) / table
    expected = getattr(store, table)()
    arrow = pq.read_table(folder)
    assert arrow.schema.equals(SCHEMAS[table])
    frames = {
        "pyarrow": arrow.to_pandas(),
        "pandas": pd.read_parquet(folder),
        "polars": pl.read_parquet(folder / "*.parquet").to_pandas(),
        "duckdb": duckdb.sql(f"SELECT * FROM '{folder}/*.parquet'").to_arrow_table().to_pandas(),
    }
    for reader, frame in frames.items():
        assert list(frame.columns) == list(expected.columns), reader
        assert len(frame) == len(expected), reader
        for name in ("energy_j", "energy_gpu_j", "tau_mean", "seed", "cpus"):
            if name in expected:
                ours, theirs = (sorted(column.dropna().astype(float)) for column in (expected[name], frame[name]))
                assert ours == theirs, (reader, name)


@pytest.mark.parametrize("table", TABLES)
def test_polars_and_duckdb_see_the_types_of_the_schema(store: Store, table: str) -> None:
    folder = Path(store.location) / table
    polars = pl.read_parquet(folder / "*.parquet").schema
    kinds = {"int64": pl.Int64, "double": pl.Float64, "string": pl.String, "bool": pl.Boolean}
    found = dict(
        duckdb.sql(f"DESCRIBE SELECT * FROM '{folder}/*.parquet'").project("column_name, column_type").fetchall()
    )
    names = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "bool": "BOOLEAN"}
    for field in SCHEMAS[table]:
        kind = str(field.type)
        assert found[field.name] == names.get(kind, found[field.name])
        assert polars[field.name] == kinds.get(kind, polars[field.name])
        if kind.startswith("timestamp"):
            assert found[field.name] == "TIMESTAMP WITH TIME ZONE"
            assert polars[field.name] == pl.Datetime("us", "UTC")


def test_a_table_without_files_is_empty_for_a_query_too(tmp_path: Path) -> None:
    store = create_store(tmp_path)
    assert store.query("SELECT count(*) AS n, sum(energy_j) AS j FROM trials").isna().values.tolist() == [[False, True]]


def test_a_reader_opened_before_sees_what_is_sealed_later(store: Store) -> None:
    reader = open_store(store.location)
    assert len(reader.trials()) == 6
    write_whole_run(store, "c")
    assert len(reader.trials()) == 9
    store.write_run(run_row("c", status="failed"))
    assert reader.runs()["status"].tolist() == ["completed", "completed", "failed"]


@pytest.mark.parametrize("table", TABLES)
def test_the_runs_to_read_are_those_of_any_collection_of_ids(store: Store, table: str) -> None:
    read, runs = getattr(store, table), store.runs()
    whole = read()
    of_b = whole[whole["run_id"] == "b"].reset_index(drop=True)
    chosen = runs[runs["policy"] == "tpe"]["run_id"]  # its index begins with 1
    for ids in (chosen, chosen.to_numpy(), chosen.unique(), pd.Index(chosen), ("b",), {"b": 1}.keys(), ["b", "b"]):
        pd.testing.assert_frame_equal(read(run_ids=ids), of_b)
    pd.testing.assert_frame_equal(read(run_ids=runs["run_id"]), whole)
    assert len(read(run_ids=chosen[:0])) == len(read(run_ids=[])) == 0


def test_the_columns_to_read_may_be_those_of_a_frame(store: Store) -> None:
    few = store.trials(["run_id", "tau"])
    pd.testing.assert_frame_equal(store.trials(few.columns), few)
    pd.testing.assert_frame_equal(store.trials(pd.Series(["tau", "run_id"])), few)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ("b", r"^run_ids is a collection of run ids, got the text 'b'; give \['b'\]$"),
        (pd.Series(["b", None], dtype=object), "^run_ids has None; a run id is a text, like those in store.runs"),
        ([1], "^run_ids has 1; a run id is a text"),
    ],
)
def test_what_is_no_collection_of_run_ids_is_refused_in_one_line(store: Store, ids: Any, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        store.trials(run_ids=ids)


def test_readings_at_once_see_each_their_own_store(store: Store, tmp_path: Path) -> None:
    other = create_store(tmp_path / "other")
    write_whole_run(other, "c", trials=1)
    sql = "SELECT run_id, count(*) AS trials FROM trials GROUP BY run_id ORDER BY run_id"
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda place: (store, other)[place % 2].query(sql).to_dict("list"), range(40)))
    assert found == 20 * [{"run_id": ["a", "b"], "trials": [3, 3]}, {"run_id": ["c"], "trials": [1]}]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_reads_what_its_parent_has_read(store: Store) -> None:
    assert len(store.runs()) == 2
    answers = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=lambda: answers.put(store.trials()["trial_id"].tolist()))
    child.start()
    child.join(300)
    assert child.exitcode == 0
    assert answers.get() == store.trials()["trial_id"].tolist()


def test_a_query_that_failed_spoils_no_later_one(store: Store) -> None:
    with pytest.raises(StoreError, match="cannot run this query"):
        store.query("SELECT error(status) FROM runs")
    assert len(store.query("SELECT * FROM runs")) == 2
