"""A report says by how much runs spent beyond their budget."""

from __future__ import annotations

import pandas as pd
from synthetic import run, trial

from analysis.runs.outcomes import notices, run_outcomes


def told(overshoots: dict[str, list[float | None]], **changes: object) -> list[str]:
    """The notices on runs with a budget of 100 J that spent so much more."""
    budget = {"budget_currency": "joules", "budget_limit": 100.0, **changes}
    runs = [
        run(f"{label}{place}", label, place, overshoot=overshoot, **budget)
        for label, each in overshoots.items()
        for place, overshoot in enumerate(each)
    ]
    trials = pd.DataFrame([trial(str(row["run_id"]), 0, 0.9, 0.9) for row in runs])
    return [line for line in notices(run_outcomes(pd.DataFrame(runs), trials)) if "beyond" in line]


def test_the_mean_is_over_all_runs_of_a_policy() -> None:
    found = told({"grid": [4.0, 0.0], "stochastic": [0.0, 0.0], "tpe": [0.5, None]})
    assert found == [
        "spent beyond the budget of 27.8 mWh: grid 2.0 % in the mean, 4.0 % at most; "
        "tpe 0.2 % in the mean, 0.5 % at most"
    ]


def test_runs_within_their_budget_and_older_records_say_nothing() -> None:
    assert told({"grid": [0.0], "tpe": [None]}) == []
    assert told({"grid": [0.0, 0.0]}, budget_currency="trials") == []
