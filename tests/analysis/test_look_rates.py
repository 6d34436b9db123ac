"""Verdicts over several looks keep their promises on simulated stores; fixed seeds, so the rates are exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.rendering.table import markdown
from analysis.statistics.look_cases import LOOKS, MARGIN, false_verdicts, noise
from analysis.statistics.look_rates import errors, tables
from analysis.statistics.look_savings import savings, splits
from analysis.statistics.looks import decide
from analysis.statistics.paired import BETTER, EQUIVALENT, INCONCLUSIVE, LEVEL, WORSE
from tune_kd.formats import MISSING

STORES = 2000
LARGEST_RATE = 0.065  # a 5 % test with the sampling error of 2,000 stores
SMALLEST_COVERAGE = 0.935
PAGE = Path(__file__).parents[2] / "docs" / "decisions" / "until-decided.md"


@pytest.fixture(scope="module")
def rates() -> pd.DataFrame:
    return errors(STORES)


@pytest.fixture(scope="module")
def saved() -> pd.DataFrame:
    return savings(STORES)


@pytest.fixture(scope="module")
def split() -> pd.DataFrame:
    return splits(STORES)


def test_false_verdicts_over_all_looks_are_as_rare_as_promised(rates: pd.DataFrame) -> None:
    assert len(rates) == 4 * (2 + 4 + 4)
    assert (rates[["false_order", "false_equivalent"]] <= LARGEST_RATE).all(axis=None)


def test_each_question_is_put_to_the_test_by_some_truth(rates: pd.DataFrame) -> None:
    """Looks that share the level give some of it away, for they are correlated; not most of it."""
    assert (rates.groupby("policies")["false_order"].max() >= 0.03).all()
    assert (rates.groupby("policies")["false_equivalent"].max() >= 0.02).all()


def test_intervals_at_all_looks_hold_together_and_so_does_the_last(rates: pd.DataFrame) -> None:
    assert (rates["all_looks"] >= SMALLEST_COVERAGE).all()
    assert (rates["last_look"] >= rates["all_looks"]).all()


def test_looks_that_all_took_the_whole_level_would_not_keep_the_promise() -> None:
    """By 400,000 draws with scipy's t tests, four looks at 5 % find a difference in 14.8 % of equal pairs."""
    decided = decide(100 * noise(STORES, 2), MARGIN, LOOKS, [LEVEL] * len(LOOKS))
    assert np.isin(decided.verdict, (BETTER, WORSE)).mean() == pytest.approx(0.148, abs=0.02)


def test_a_large_difference_takes_at_most_half_of_the_replicates_of_the_last_look(saved: pd.DataFrame) -> None:
    large = saved[saved["difference"] == "2"]
    hardest = (large["policies"] == 14) & (large["sd"] == 2)
    assert (large.loc[~hardest, "of_last"] <= 0.5).all()
    assert (large["of_last"] <= 0.56).all()
    assert (large["better"] >= 0.99).all()


def test_the_fixed_design_beside_it_decides_as_much_and_one_replicate_less_does_not(saved: pd.DataFrame) -> None:
    """For two policies, a difference of two margins and an sd of two: power of a t test, effect size 1."""
    row = saved[(saved["policies"] == 2) & (saved["sd"] == 2) & (saved["difference"] == "2")].iloc[0]
    # statsmodels: TTestPower().power(1, n, 0.05) is 0.988 at n = 20, 0.991 at n = 21
    assert row["fixed"] == pytest.approx(21, abs=1)
    assert row["of_fixed"] == pytest.approx(row["replicates"] / row["fixed"])


def test_differences_that_stopped_a_policy_early_are_seen_too_large(saved: pd.DataFrame) -> None:
    """The page says by how much, so that nobody takes them for the truth."""
    a_margin = saved[saved["difference"] == "1"]
    assert (a_margin["excess"] > 0).all()
    assert a_margin.groupby("policies")["excess"].apply(lambda excess: excess.is_monotonic_increasing).all()


def test_looks_later_on_get_more_power_from_a_larger_part_of_the_level(split: pd.DataFrame) -> None:
    wide = split.pivot_table(index=["sd", "difference"], columns="split", values=["decided", "replicates"])
    for more, less in (("proportional", "square root"), ("square root", "even")):
        assert (wide["decided", more] >= wide["decided", less]).all()
    assert (
        wide["replicates", "proportional"] >= wide[[("replicates", "even"), ("replicates", "square root")]].max(axis=1)
    ).all()


@pytest.mark.parametrize(("of", "points", "replicates"), [("square root", 0.15, 1.0), ("proportional", 0.25, 2.3)])
def test_what_a_larger_part_for_later_looks_gains_and_costs_is_as_the_page_says(
    split: pd.DataFrame, of: str, points: float, replicates: float
) -> None:
    wide = split.pivot_table(index=["sd", "difference"], columns="split", values=["decided", "replicates"])
    assert (wide["decided", of] - wide["decided", "even"]).max() == pytest.approx(points, abs=0.005)
    assert (wide["replicates", of] - wide["replicates", "even"]).max() == pytest.approx(replicates, abs=0.05)


def test_the_pages_tables_are_these(rates: pd.DataFrame, saved: pd.DataFrame, split: pd.DataFrame) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [table.title for table in tables(rates, saved, split, STORES) if markdown(table) not in page] == []


def test_what_did_not_occur_in_a_few_stores_is_a_dash() -> None:
    shown = tables(errors(10), savings(10), splits(10), 10)[2]
    excess = [row[-1] for row, better in zip(shown.rows, shown.data["better"], strict=True) if better == 0]
    assert set(excess) == {MISSING}


def test_a_verdict_is_false_by_the_true_difference() -> None:
    codes = np.array([BETTER, WORSE, EQUIVALENT, INCONCLUSIVE])
    order, equivalent = (
        np.stack([false_verdicts(codes, np.full(4, truth))[which] for truth in (-1.0, 0.0, 0.5, 1.0)]).tolist()
        for which in (0, 1)
    )
    yes, no = True, False
    assert order == [[yes, no, no, no], [yes, yes, no, no], [no, yes, no, no], [no, yes, no, no]]
    assert equivalent == [[no, no, yes, no], [no] * 4, [no] * 4, [no, no, yes, no]]
