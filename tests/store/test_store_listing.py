"""What a store holds, shown and exported."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from store_records import TABLES, at, contents, report, run_row, started, trial_events, write_whole_run

from analysis.curves import run_curves
from analysis.runs.outcomes import run_outcomes
from tune_kd.errors import InputError
from tune_kd.events import TrialEnded
from tune_kd.store import Store, create_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = create_store(tmp_path / "store")
    write_whole_run(store, "young", started_at=at(9))
    write_whole_run(store, "old", trials=1)
    with store.journal("old", "old-0000", 1) as journal:
        journal.append(started("old", 0, attempt=1))
        journal.append(report("old", 0, 1, attempt=1, train_loss=float("nan")))
    store.seal_orphans()
    store.write_run(run_row("next", status="planned", started_at=None, ended_at=None))
    return store


def test_runs_are_listed_oldest_first_with_what_they_cost(store: Store) -> None:
    runs = store.list_runs()
    assert runs["run_id"].tolist() == ["old", "young", "next"]
    old = runs.iloc[0]
    assert (old["trials"], old["failed"], old["epochs"], old["energy_j"]) == (1, 1, 4, 40.0)
    assert pd.isna(runs.iloc[2]["energy_j"])  # nothing measured, not nothing spent


def test_the_energy_in_the_list_is_that_of_the_report(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store")
    write_whole_run(store, "shared", shared_energy_j=7.0, shared_flops=1.0)
    write_whole_run(store, "shared-unmeasured", shared_flops=1.0)
    write_whole_run(store, "alone")
    listed = store.list_runs().set_index("run_id")["energy_j"]
    reported = run_outcomes(store.runs(), store.trials()).set_index("run_id")["energy_j"]
    assert listed.to_dict() == pytest.approx(reported.to_dict(), nan_ok=True)
    assert listed["shared"] == 97.0


def test_the_best_score_in_the_list_is_one_that_an_incumbent_may_have(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store")
    write_whole_run(store, "run", trials=1)
    with store.journal("run", "run-0001", 0) as journal:  # it died after a better epoch than any that counts
        journal.append(started("run", 1))
        journal.append(report("run", 1, 1, val_score=0.99))
    store.seal_orphans()
    assert store.list_runs()["best_val_score"].item() == 0.875


def test_one_run_is_shown_with_its_trials_and_nodes(store: Store) -> None:
    record = store.show_run("old")
    assert record.run["policy"] == "grid"
    assert record.trials[["trial_id", "attempt"]].values.tolist() == [["old-0000", 0], ["old-0000", 1]]
    assert record.nodes["node_id"].tolist() == ["node-a"]


def test_an_unknown_run_is_refused_with_the_nearest(store: Store) -> None:
    with pytest.raises(InputError, match=r"unknown run 'yuong'; did you mean 'young'\?"):
        store.show_run("yuong")


def test_of_equal_trials_the_store_hands_out_the_one_that_the_ranking_names(store: Store) -> None:
    """The first of two equal trials ended last: its index decides, for export, pruning, ranking and curve alike."""
    for index, seconds in ((0, 300), (1, 200)):
        journal = store.journal("tie", f"tie-{index:04d}", 0)
        for event in trial_events("tie", index):
            late = isinstance(event, TrialEnded)
            journal.append(replace(event, at=at(seconds)) if late else event)
        store.seal("tie", f"tie-{index:04d}", 0)
    store.write_run(run_row("tie", started_at=at(20)))
    runs, trials = store.runs(), store.trials()
    ranked = run_outcomes(runs, trials)
    assert store.incumbent("tie") == "tie-0000"
    assert ranked.set_index("run_id").at["tie", "incumbent"] == "tie-0000"
    assert run_curves(ranked, runs, trials).groupby("run_id")["trial_id"].last()["tie"] == "tie-0000"


def test_a_run_without_a_trial_that_ended_well_has_no_incumbent(store: Store) -> None:
    assert store.incumbent("next") is None


def test_csv_holds_every_row_and_column(store: Store, tmp_path: Path) -> None:
    paths = store.export(tmp_path / "out")
    assert [path.name for path in paths] == [f"{table}.csv" for table in TABLES]
    expected = contents(store)
    for table, path in zip(TABLES, paths, strict=True):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(expected[table])
        assert list(rows[0]) == list(expected[table][0])
    with paths[1].open(newline="") as file:
        first = next(csv.DictReader(file))
    assert json.loads(first["confusion"]) == [[3, 1], [0, 4]]
    assert first["started_at"] == "2026-03-01T12:00:00.123456Z"
    assert first["energy_gpu_j"] == ""


def test_json_lines_are_strict_json_and_read_back_as_they_were(store: Store, tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    paths = store.export(tmp_path / "out", "jsonl")
    for table, path in zip(TABLES, paths, strict=True):
        rows = [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]
        expected = getattr(store, table)()
        assert len(rows) == len(expected)
        for name in ("energy_j", "val_score", "epoch", "seed", "policy", "cpus"):
            if name in expected:
                values = [None if pd.isna(value) else value for value in expected[name]]
                assert [row[name] for row in rows] == values
    losses = [json.loads(line)["train_loss"] for line in paths[2].read_text().splitlines()]
    assert losses.count("NaN") == 1


def test_an_export_overwrites_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("mine")
    with pytest.raises(InputError, match=r"trials.csv is there already; give another folder"):
        store.export(tmp_path)
    assert (tmp_path / "trials.csv").read_text() == "mine"


def test_an_unknown_format_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown export format 'xlsx'"):
        store.export(tmp_path / "out", "xlsx")
