"""Tables name the hyperparameters that validation has chosen."""

from __future__ import annotations

import json

import pandas as pd
from synthetic import run, trial

from analysis.rendering.table import render
from analysis.runs.outcomes import run_outcomes
from analysis.summary import format_table, tabulate


def outcomes_of(*taus: float, **more: float) -> pd.DataFrame:
    """Grid runs of two trials; the second, better one has the next of ``taus``, and ``more`` hyperparameters."""
    runs, trials = [run("s", "stochastic")], [trial("s", 0, 0.9, 0.9, params_json='{"tau_low": 2, "tau_high": 20}')]
    for replicate, tau in enumerate(taus):
        runs.append(run(f"g{replicate}", "grid", replicate))
        for index, value in enumerate((99.0, tau)):
            found = json.dumps({"tau": value, **more})
            trials.append(trial(f"g{replicate}", index, 0.8 + index / 10, 0.9, params_json=found))
    return run_outcomes(pd.DataFrame(runs), pd.DataFrame(trials))


def chosen(outcomes: pd.DataFrame) -> dict[str, str]:
    table = tabulate(outcomes)
    return dict(zip(table["label"], table["chosen"], strict=True))


def test_one_run_names_its_incumbents_hyperparameters() -> None:
    assert chosen(outcomes_of(7, alpha=0.5)) == {"stochastic": "τ 2–20", "grid": "τ 7, α 0.5"}


def test_several_runs_name_the_most_frequent_first() -> None:
    assert chosen(outcomes_of(5, 4, 4, 9, 4, 3, 9))["grid"] == "τ 4 (3×), τ 9 (2×), τ 5, 1 other"


def test_a_line_under_the_table_has_those_that_had_a_choice() -> None:
    [table] = format_table(tabulate(outcomes_of(4, 4)))
    assert "chosen by validation: grid τ 4 (2×)" in table.notes
    assert '"chosen": "τ 2–20"' in render([table], "json")


def test_records_without_hyperparameters_say_nothing() -> None:
    runs, trials = pd.DataFrame([run("g", "grid")]), pd.DataFrame([trial("g", i, 0.9, 0.9) for i in range(2)])
    assert chosen(run_outcomes(runs, trials.drop(columns="params_json", errors="ignore"))) == {"grid": ""}
