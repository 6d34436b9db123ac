"""The ranking from a store's frames: pairs, verdicts, ranks, cost ratios; and the sentence that sums it up."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats
from scipy.stats import friedmanchisquare
from synthetic import Frames, Recipe, make_frames, run, trial

from analysis import across, ranking
from analysis.headline import headline
from analysis.outcomes import run_outcomes
from analysis.paired import holm
from analysis.table import rich_table

CLEAR = {
    "grid": Recipe(trials=19, tau=True),
    "stochastic": Recipe(),
    "poor": Recipe(shift=-0.02),
    "good": Recipe(shift=0.02),
}


def outcomes_of(frames: Frames) -> pd.DataFrame:
    return run_outcomes(frames.runs, frames.trials, frames.nodes)


@pytest.fixture(scope="module")
def clear() -> pd.DataFrame:
    return outcomes_of(make_frames(policies=CLEAR, replicates=12, sigma=0.001))


def test_the_pairs_are_tested_as_scipy_would_with_holm_over_all_of_them(clear: pd.DataFrame) -> None:
    pairs = ranking.pair_table(clear)
    assert len(pairs) == 6
    accuracy = clear.pivot(index="replicate", columns="label", values="test_accuracy")
    expected = [stats.ttest_rel(accuracy[a], accuracy[b]).pvalue for a, b in zip(pairs["a"], pairs["b"], strict=True)]
    np.testing.assert_allclose(pairs["p_difference"], expected)
    np.testing.assert_allclose(pairs["p_difference_holm"], holm(np.array(expected)))


def test_verdicts_and_ranks_where_the_truth_is_plain(clear: pd.DataFrame) -> None:
    table = ranking.ranking(clear).set_index("label")
    assert table["verdict"].drop("grid").to_dict() == {"stochastic": "equivalent", "poor": "worse", "good": "better"}
    ranks = table[["rank_best", "rank_worst"]].apply(tuple, axis=1).to_dict()
    assert ranks == {"good": (1, 1), "grid": (2, 3), "stochastic": (2, 3), "poor": (4, 4)}


def test_equivalent_policies_keep_all_ranks_and_so_do_inconclusive_ones() -> None:
    pairs = pd.DataFrame(
        {"a": ["x", "x", "y"], "b": ["y", "z", "z"], "verdict": ["equivalent", "inconclusive", "worse"]}
    )
    assert ranking.rank_sets(pairs, ["x", "y", "z"]) == {"x": (1, 3), "y": (2, 3), "z": (1, 2)}


def test_a_pair_turned_round_says_the_same(clear: pd.DataFrame) -> None:
    pairs = ranking.pair_table(clear)
    there, back = ranking.against(pairs, "grid", "poor"), ranking.against(pairs, "poor", "grid")
    assert (there["verdict"], back["verdict"]) == ("better", "worse")
    assert (there["difference"], there["low"], there["high"]) == (-back["difference"], -back["high"], -back["low"])
    values = clear.pivot(index="replicate", columns="label", values="energy_j")
    direct = ranking.cost_ratio(values["poor"].to_numpy(), values["grid"].to_numpy())
    assert [back[name] for name in direct._fields] == pytest.approx(list(direct))


def test_cost_ratios_are_t_intervals_of_logs() -> None:
    a, b = np.array([1.0, 1.1, 0.9, 1.05]), np.array([19.0, 20.0, 18.0, 21.0])
    ratio = ranking.cost_ratio(a, b)
    logs = np.log(a / b)
    test, bound = stats.ttest_1samp(logs, 0), stats.ttest_1samp(logs, 0, alternative="less")
    interval = test.confidence_interval(0.95)
    assert ratio.ratio == pytest.approx(stats.gmean(a / b))
    assert (ratio.ratio_low, ratio.ratio_high) == pytest.approx((np.exp(interval.low), np.exp(interval.high)))
    assert ratio.ratio_upper == pytest.approx(np.exp(bound.confidence_interval(0.95).high))


def test_cost_ratios_of_one_pair_or_of_none_have_no_bounds() -> None:
    assert ranking.cost_ratio(np.array([1.0, np.nan]), np.array([2.0, 3.0]))[0] == 0.5
    assert np.isnan(ranking.cost_ratio(np.array([1.0]), np.array([2.0]))[1:]).all()
    assert np.isnan(ranking.cost_ratio(np.array([np.nan]), np.array([2.0]))[0])


def test_the_claim_takes_equivalence_and_a_bound_below_it(clear: pd.DataFrame) -> None:
    pair = ranking.against(ranking.pair_table(clear), "stochastic", "grid")
    assert pair["ratio"] == pytest.approx(1 / 19, rel=0.02)
    assert ranking.claim_holds(pair, 1 / 18)
    assert not ranking.claim_holds(pair, 1 / 20)
    assert not ranking.claim_holds(pair | {"verdict": "inconclusive"}, 1 / 18)


def test_energy_that_was_not_measured_leaves_the_verdicts_and_no_ratio(clear: pd.DataFrame) -> None:
    pairs = ranking.pair_table(clear.assign(energy_j=np.nan))
    assert pairs["ratio"].isna().all()
    assert list(pairs["verdict"]) == list(ranking.pair_table(clear)["verdict"])
    assert ranking.pair_table(clear.assign(energy_j=np.nan), "flops")["ratio"].notna().all()


def test_only_replicates_that_both_have_are_compared(clear: pd.DataFrame) -> None:
    missing = clear.assign(counted=clear["counted"] & ~((clear["label"] == "poor") & (clear["replicate"] < 4)))
    pairs = ranking.pair_table(missing)
    with_poor = (pairs["a"] == "poor") | (pairs["b"] == "poor")
    assert set(pairs[with_poor]["n"]) == {8}
    assert set(pairs[~with_poor]["n"]) == {12}


def test_the_ranking_fits_a_terminal_of_80_columns(clear: pd.DataFrame) -> None:
    console = Console(width=80, file=io.StringIO(), record=True)
    for table in ranking.ranking_tables(clear):
        console.print(rich_table(table))
    lines = console.export_text().splitlines()
    stochastic = next(line for line in lines if line.startswith("stochastic"))
    assert "equivalent" in stochastic
    assert "…" not in "".join(lines)


EQUAL = {"grid": CLEAR["grid"], "poor": CLEAR["poor"], "stochastic": CLEAR["stochastic"]}
HEADLINES = [
    (12, EQUAL, "stochastic reaches grid's accuracy (equivalent within 0.3 pp, p = ", " of its energy ["),
    (3, CLEAR, "Screening (3 of 10 replicates): ", ""),
    (1, CLEAR, "Screening (1 of 10 replicates): The data cannot tell yet", "1 replicate cannot show what is chance"),
    (12, {"grid": Recipe()}, "Only grid has results", "nothing to compare"),
    (12, {"grid": Recipe(), "poor": Recipe(shift=-0.05)}, "No policy reaches grid's accuracy", "poor, differs by −"),
    (12, {"grid": Recipe(), "good": Recipe(shift=0.05)}, "good is better than grid (+", ""),
]


@pytest.mark.parametrize(("replicates", "policies", "start", "part"), HEADLINES)
def test_the_headline_says_what_the_verdicts_allow(
    replicates: int, policies: dict[str, Recipe], start: str, part: str
) -> None:
    sentence = headline(outcomes_of(make_frames(policies=policies, replicates=replicates, sigma=0.001)), 0)
    assert sentence.startswith(start)
    assert part in sentence
    assert sentence.endswith(".")


def test_the_headline_says_how_many_more_replicates_would_tell() -> None:
    noisy = make_frames(policies={"grid": Recipe(), "stochastic": Recipe(trial_j=360.0)}, replicates=10, sigma=0.006)
    sentence = headline(outcomes_of(noisy), 0)
    assert sentence.startswith("The data cannot tell yet whether stochastic reaches grid's accuracy at 0.0996 of")
    assert "against a margin of 0.3 pp; about " in sentence
    assert "more would" in sentence


@pytest.mark.parametrize("status", ["planned", "failed", "stopped"])
def test_the_headline_of_nothing_says_so(status: str) -> None:
    runs = pd.DataFrame([run("a", "grid", status=status), run("b", "tpe", status=status)])
    trials = pd.DataFrame([trial("a", 0, None, None, status="failed")])
    assert headline(run_outcomes(runs, trials), 0).startswith("No result yet: 2 runs, 1 started")


def test_energy_that_is_not_known_is_said_in_the_headline(clear: pd.DataFrame) -> None:
    assert "(its energy is not known)" in headline(clear.assign(energy_j=np.nan), 0)


def scenarios(count: int) -> pd.DataFrame:
    policies = {"grid": Recipe(), "good": Recipe(shift=0.05), "poor": Recipe(shift=-0.05)}
    frames = [make_frames(policies=policies, replicates=2, scenario=f"s{i}", seed=i) for i in range(count)]
    runs, trials = (pd.concat(parts, ignore_index=True) for parts in list(zip(*frames, strict=True))[:2])
    return run_outcomes(runs, trials)


def test_below_eight_scenarios_there_are_mean_ranks_and_no_test() -> None:
    result = across.across(across.block_matrix(scenarios(7)))
    assert result.mean_ranks.to_dict() == {"good": 1.0, "grid": 2.0, "poor": 3.0}
    assert result.p_friedman is None
    assert "no test below 8 scenarios" in across.format_across(result).notes[1]


def test_from_eight_scenarios_on_friedman_and_nemenyi() -> None:
    blocks = across.block_matrix(scenarios(8))
    result = across.across(blocks)
    assert result.p_friedman == pytest.approx(friedmanchisquare(*blocks.to_numpy().T).pvalue)
    assert result.nemenyi is not None
    # Demšar 2006, table 5: q is 2.343 for 3 policies; good and poor are 2 ranks apart, more than the difference.
    assert result.critical_difference == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 8)), abs=1e-3)
    p_values = {name: float(result.nemenyi["good"][name]) for name in ("poor", "grid")}
    assert p_values["poor"] < 0.05 < p_values["grid"]


def test_performance_profiles_by_hand() -> None:
    costs = pd.DataFrame({"a": [1.0, 4.0, np.inf], "b": [2.0, 2.0, np.inf], "c": [np.inf, 2.0, np.inf]})
    profile = across.performance_profile(costs)
    assert list(profile.index) == [1.0, 2.0]
    np.testing.assert_allclose(profile.loc[1.0], [1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(profile.loc[2.0], [2 / 3, 2 / 3, 1 / 3])
