"""Golden stores: what an earlier version wrote is read for ever, with the same values."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from store_records import TABLES, at, contents, write_whole_run

from tune_kd.store import create_store, open_store
from tune_kd.store.columns import ACCURACIES, SCHEMA_VERSION
from tune_kd.store.schema import SCHEMAS

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(path.name for path in GOLDEN.iterdir())


def test_there_is_a_golden_store_of_every_schema_version() -> None:
    assert [f"v{version}" for version in range(1, SCHEMA_VERSION + 1)] == VERSIONS


@pytest.mark.parametrize("table", TABLES)
def test_a_change_of_columns_is_a_change_of_version(table: str) -> None:
    """Files of one version are read together, by the columns of the first."""
    for path in (GOLDEN / f"v{SCHEMA_VERSION}" / table).iterdir():
        assert pq.read_schema(path).equals(SCHEMAS[table])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_store_opens_with_its_values(version: str) -> None:
    store = open_store(GOLDEN / version)
    assert store.verify() == []
    rows = contents(store)
    assert {table: len(rows[table]) for table in TABLES} == {"runs": 2, "trials": 4, "reports": 7, "nodes": 2}
    runs = {row["run_id"]: row for row in rows["runs"]}
    assert (runs["loose"]["policy"], runs["loose"]["budget_limit"], runs["loose"]["code_dirty"]) == (
        "stochastic",
        20.0,
        True,
    )
    assert runs["whole"]["started_at"] == at(0)
    trials = {row["trial_id"]: row for row in rows["trials"]}
    assert {key: row["status"] for key, row in trials.items()} == {
        "loose-0000": "lost",
        "loose-0001": "failed",
        "whole-0000": "completed",
        "whole-0001": "completed",
    }
    assert (trials["loose-0000"]["tau"], trials["loose-0000"]["energy_j"]) == (None, 10.0)
    assert (trials["loose-0001"]["error"], trials["loose-0001"]["energy_j"]) == ("boom", None)
    whole = trials["whole-0001"]
    assert (whole["tau"], whole["epochs"], whole["energy_j"], whole["co2e_g"]) == (4.0, 3, 30.0, 3.0)
    assert (whole["val_score"], whole["test_score"]) == (0.875, 0.875)
    assert whole["confusion"] == [[3, 1], [0, 4]]
    assert whole["per_class"][1] == {"precision": 0.8, "recall": 1.0, "f1": 8 / 9}
    [stochastic] = [row for row in rows["reports"] if row["trial_id"] == "loose-0000"]
    assert (stochastic["tau_mean"], stochastic["tau_min"], stochastic["tau_max"]) == (7.5, 2.0, 20.0)
    assert [row["mig"] for row in rows["nodes"]] == [False, None]
    assert {row["diverged_epoch"] for row in (*rows["trials"], *rows["reports"])} == {None}
    assert {row["val_prevalence"] for row in rows["runs"]} == {None}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_store_can_be_gone_on_with(version: str, tmp_path: Path) -> None:
    store = create_store(shutil.copytree(GOLDEN / version, tmp_path / "store"))
    before = contents(store)
    write_whole_run(store, "new")
    store.compact()
    assert [row for row in contents(store)["trials"] if row["run_id"] != "new"] == before["trials"]
    assert len(store.runs()) == 3


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_has_scores_in_the_runs_metric_and_as_accuracies(version: str) -> None:
    rows = contents(open_store(GOLDEN / version))
    for table in ("trials", "reports"):
        for row in rows[table]:
            scores = {score: name for score, name in ACCURACIES.items() if score in row}
            assert {row[score] for score in scores} == {row[name] for name in scores.values()}
    assert {row["metric"] for row in rows["trials"]} == {"accuracy"}
    if version == "v1":  # where nothing else could be learned
        assert {(row["task"], row["metric"]) for row in rows["runs"]} == {("classification", "accuracy")}


def test_stores_of_two_versions_merged_give_every_trial_its_accuracy_in_any_reader(tmp_path: Path) -> None:
    """A plain reader of the files sees old and new rows in one column."""
    store = create_store(shutil.copytree(GOLDEN / "v1", tmp_path / "store"))
    write_whole_run(store, "new", trials=1)
    later = create_store(tmp_path / "later")
    write_whole_run(later, "later", trials=1)
    store.merge(later)
    tested = {"whole-0000", "whole-0001", "new-0000", "later-0000"}
    for name in ("test_accuracy", "test_score"):
        known = store.trials(["trial_id", name]).dropna()
        assert (set(known.trial_id), set(known[name])) == (tested, {0.875})
    plain = ds.dataset(str(tmp_path / "store" / "trials"), partitioning=None, schema=SCHEMAS["trials"]).to_table()
    assert {row["trial_id"] for row in plain.to_pylist() if row["test_accuracy"] == 0.875} == tested


def of_two_versions(root: Path) -> Path:
    """A store of schema 1 in which runs of today were recorded."""
    store = create_store(shutil.copytree(GOLDEN / "v1", root))
    write_whole_run(store, "new")
    return root


def merged_into_todays(root: Path) -> Path:
    """A store of today into which one of schema 1 was merged."""
    store = create_store(root)
    write_whole_run(store, "new")
    store.merge(open_store(GOLDEN / "v1"))
    return root


def with_todays_merged_in(root: Path) -> Path:
    """A store of schema 1, all packed by then, into which one of today was merged."""
    later = create_store(root.with_name("later"))
    write_whole_run(later, "new")
    create_store(shutil.copytree(GOLDEN / "v1", root)).merge(later)
    return root


@pytest.mark.parametrize("made", [of_two_versions, merged_into_todays, with_todays_merged_in])
def test_a_store_of_two_versions_is_opened_in_one_line_once_it_is_compacted(
    made: Callable[[Path], Path], tmp_path: Path
) -> None:
    root = made(tmp_path / "store")
    store = open_store(root)
    before = contents(store)
    store.compact()
    assert contents(store) == before
    assert store.verify() == []
    assert store.compact() == dict.fromkeys(TABLES, 0), "nothing is left to be packed"
    for table in TABLES:
        folder, count = str(root / table), len(before[table])
        plain = pq.read_table(folder, partitioning=None)
        assert plain.schema.equals(SCHEMAS[table])
        frames = {
            "pyarrow": plain.to_pandas(),
            "pandas": pd.read_parquet(folder, partitioning=None),
            "polars": pl.read_parquet(folder, hive_partitioning=False, glob=False).to_pandas(),
            "duckdb": duckdb.from_arrow(ds.dataset(folder, partitioning=None)).to_arrow_table().to_pandas(),
        }
        for reader, frame in frames.items():
            assert (list(frame.columns), len(frame)) == (SCHEMAS[table].names, count), reader
