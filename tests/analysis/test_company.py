"""The report says so where the trials of two policies ran in different company."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.runs.company import company_notes


def outcomes(company: dict[str, list[float]], *, counted: bool = True) -> pd.DataFrame:
    """Runs of one comparison, with the mean co-tenants of each."""
    rows = [(label, tenants) for label, of_runs in company.items() for tenants in of_runs]
    frame = pd.DataFrame(rows, columns=["label", "co_tenants"])
    return frame.assign(comparison=0, counted=counted)


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
