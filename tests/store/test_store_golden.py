"""Golden stores: what an earlier version wrote is read for ever, with the same values."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from store_records import TABLES, at, contents, write_whole_run

from tune_kd.store import create_store, open_store
from tune_kd.store.columns import SCHEMA_VERSION
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
