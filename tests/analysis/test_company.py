"""The report says so where the trials of two policies ran in different company."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.runs.company import company_notes


def outcomes(company: dict[str, list[float]], *, counted: bool = True, column: str = "co_tenants") -> pd.DataFrame:
    """Runs of one comparison, with the mean co-tenants of each; or with how many were side by side, in the mean."""
    rows = [(label, tenants) for label, of_runs in company.items() for tenants in of_runs]
    frame = pd.DataFrame(rows, columns=["label", column])
    unknown = dict.fromkeys({"co_tenants", "side_by_side"} - {column}, float("nan"))
    return frame.assign(comparison=0, counted=counted, **unknown)


def test_policies_whose_trials_were_trained_as_one_are_noted_beside_those_that_were_not() -> None:
    lines = company_notes(outcomes({"grid": [9.5, 9.5], "stochastic": [1.0, 1.0]}, column="side_by_side"))
    assert lines == [
        "trials were trained side by side, in the mean 9.5 as one of grid and 1.0 of stochastic: together each costs "
        "less; --side-by-side 1 trains each alone"
    ]
    assert company_notes(outcomes({"grid": [10.0], "random": [9.75]}, column="side_by_side")) == []


@pytest.mark.parametrize(("alone", "noted"), [(0.9, True), (1.0, False), (1.5, False)])
def test_a_difference_of_more_than_a_half_is_noted(alone: float, noted: bool) -> None:
    lines = company_notes(outcomes({"grid": [1.0, 2.0], "tpe": [1.4], "stochastic": [alone, alone]}))
    assert len(lines) == noted
    if noted:
        assert lines[0].startswith(
            "trials ran in different company: in the mean 1.5 others beside those of grid and 0.9 beside those of stoch"
        )


def test_runs_that_are_not_ranked_unknown_company_and_other_comparisons_do_not_count() -> None:
    assert company_notes(outcomes({"grid": [3.0], "tpe": [0.0]}, counted=False)) == []
    assert company_notes(outcomes({"grid": [3.0], "tpe": [float("nan")]})) == []
    apart = outcomes({"grid": [3.0], "tpe": [0.0]}).assign(comparison=[0, 1])
    assert company_notes(apart) == []
