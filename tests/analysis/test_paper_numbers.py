"""The data file of the paper's numbers: whole, shipped, and what a row of ours gets of it."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from synthetic import run, trial

from analysis import tables
from analysis.paper.numbers import METRICS, NOTES, paper_row, paper_rows
from analysis.rendering.table import Table
from analysis.runs.outcomes import run_outcomes

ROOT = Path(__file__).parents[2]
HKD = {"dataset": "cifar10", "teacher": "resnet18", "student": "mobilenetv2", "loss": "hkd"}
TINY = {**HKD, "dataset": "tiny-imagenet"}


def frame(*rows: dict[str, str]) -> pd.DataFrame:
    """Rows as :func:`analysis.tables.paper_frame` has them, ours all alike."""
    numbers = dict.fromkeys(("score", "spread", "gflops_m", "energy_kwh", "co2e_g", *METRICS), 0.5)
    rest = {
        "comparison": 0,
        "metric": "accuracy",
        "n": 1,
        "epochs": 1,
        "train_limit": None,
        "image_size": None,
        "made": None,
        "energy_method": "model",
        "shared": False,
    }
    return pd.DataFrame([{**rest, **row, **numbers} for row in rows])


def remarks(table: Table) -> list[str]:
    """The notes on the paper's numbers below a table."""
    return [note.removeprefix("paper: ") for note in table.notes if note.removeprefix("paper: ") in NOTES.values()]


def test_every_row_of_the_papers_tables_is_there() -> None:
    rows = paper_rows()
    assert Counter(row.table for row in rows) == {1: 12, 4: 24, 5: 3, 6: 8, 7: 8, 8: 4}
    assert len({row[:6] for row in rows}) == len(rows), "no row twice"
    numbers = Counter((row.table, name) for row in rows for name in row.numbers)
    costs = {1: 0, 4: 24, 5: 0, 6: 8, 7: 8, 8: 4}
    assert {table: numbers[table, "gflops_m"] for table in costs} == costs
    assert sum(numbers[table, "co2e_g"] for table in (1, 4, 6, 7, 8)) == 56
    assert sum(numbers[5, name] for name in METRICS) == 18
    assert {table: numbers[table, "spread"] for table in costs} == {1: 0, 4: 24, 5: 0, 6: 4, 7: 8, 8: 0}


def test_the_numbers_are_the_papers() -> None:
    totals = pd.DataFrame([{"table": row.table, **row.numbers} for row in paper_rows()]).groupby("table").sum()
    assert totals["score"].round(2).to_dict() == {1: 895.96, 4: 1740.64, 5: 278.25, 6: 578.73, 7: 495.87, 8: 363.89}
    assert totals["energy_kwh"].round(2).to_dict() == {1: 31.27, 4: 185.18, 5: 0, 6: 20.00, 7: 106.40, 8: 4.76}
    assert totals["kappa"].round(2)[5] == 2.75


def test_the_file_is_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "*.csv" in project["tool"]["setuptools"]["package-data"]["analysis.paper"]


def test_the_four_tuned_scores_of_table_6_are_quoted_and_no_other_is() -> None:
    quoted = [row for row in paper_rows() if "quoted" in row.notes]
    assert {(row.table, row.method) for row in quoted} == {(6, "tuned")}
    assert [row.numbers["score"] for row in quoted] == [87.38, 83.04, 57.91, 61.34]


def test_a_note_has_a_text_and_every_text_is_of_some_row() -> None:
    assert {key for row in paper_rows() for key in row.notes} == set(NOTES)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ({**HKD, "method": "tuned"}, "swapped"),
        ({**HKD, "dataset": "cifar100", "method": "stochastic"}, "head"),
        ({**TINY, "method": "stochastic"}, "kwh"),
        ({**TINY, "method": "student alone"}, "student"),
        ({**HKD, "method": "teacher"}, "teacher"),
    ],
)
def test_a_contradiction_is_noted_once_under_the_table_that_shows_it(words: dict[str, str], key: str) -> None:
    [table] = tables.table1(frame(words, words, {**words, "dataset": "flowers"}))
    assert remarks(table).count(NOTES[key]) == 1
    [other] = tables.table1(frame({**words, "dataset": "flowers"}))
    assert remarks(other) == []


def test_swapped_accuracies_are_noted_in_tables_1_5_and_8() -> None:
    assert {row.table for row in paper_rows() if "swapped" in row.notes} == {1, 4, 5, 8}
    assert NOTES["swapped"] in remarks(tables.table5(frame({**HKD, "method": "tuned"})))


def test_a_table_has_its_own_number_where_tables_differ_and_anothers_where_it_has_none() -> None:
    words = {**TINY, "method": "stochastic"}
    first, fourth = paper_row(1, words), paper_row(4, words)
    assert first is not None
    assert fourth is not None
    assert (first.numbers["energy_kwh"], fourth.numbers["energy_kwh"]) == (1.02, 1.04)
    assert (first.numbers["spread"], first.numbers["gflops_m"]) == (0.31, 48.75)


def test_a_number_of_another_table_stands_beside_no_other_score() -> None:
    fifth = paper_row(5, {**HKD, "method": "tuned"})
    assert fifth is not None
    assert fifth.numbers["score"] == 91.67
    assert "spread" not in fifth.numbers, "±0.14 is that of 91.78"


def test_table_5_has_the_papers_columns_beside_ours() -> None:
    table = tables.table5(frame({**HKD, "method": "teacher"}, {**HKD, "method": "stochastic"}))
    assert table.headers[3:] == [
        *("acc. %", "paper", "precision", "paper", "recall", "paper", "specificity", "paper"),
        *("κ", "paper", "prevalence", "paper", "F1", "paper"),
    ]
    assert table.rows[0][4::2] == ["94.80", "0.95", "0.95", "0.95", "0.94", "0.09", "0.95"]
    assert table.rows[1][4::2] == ["91.78", "0.92", "0.92", "0.92", "0.91", "0.09", "0.92"]
    assert table.rows[1][5::2] == ["0.5000"] * 6


def test_table_5_has_the_teachers_own_figures() -> None:
    figures = {"precision_macro": 0.96, "recall_macro": 0.94, "kappa": 0.9}
    teacher = {"teacher_id": "t", "teacher_test_score": 0.95, "teacher_test_metrics_json": json.dumps(figures)}
    runs = pd.DataFrame([run("a", "grid", **teacher), run("b", "stochastic", **teacher)])
    trials = pd.DataFrame([trial(name, 0, 0.9, 0.9) for name in "ab"])
    table = tables.table5(tables.paper_frame(run_outcomes(runs, trials), runs, trials))
    assert [row[2] for row in table.rows] == ["teacher", "tuned", "stochastic"]
    ours = dict(zip(table.headers[3:], table.rows[0][3:], strict=True))
    assert (ours["acc. %"], ours["precision"], ours["recall"], ours["κ"]) == ("95.00", "0.9600", "0.9400", "0.9000")
    assert (ours["specificity"], ours["F1"]) == ("—", "—"), "what was not recorded"
