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
from analysis.pages.headline import headline
from analysis.rendering.table import rich_table
from analysis.runs.outcomes import notices, run_outcomes
from analysis.statistics import ratios
from analysis.statistics.paired import holm

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
    accuracy = clear.pivot(index="replicate", columns="label", values="test_score")
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
    direct = ratios.cost_ratio(values["poor"].to_numpy(), values["grid"].to_numpy())
    assert [back[name] for name in direct._fields] == pytest.approx(list(direct))


def test_cost_ratios_are_t_intervals_of_logs() -> None:
    a, b = np.array([1.0, 1.1, 0.9, 1.05]), np.array([19.0, 20.0, 18.0, 21.0])
    ratio = ratios.cost_ratio(a, b)
    logs = np.log(a / b)
    test, bound = stats.ttest_1samp(logs, 0), stats.ttest_1samp(logs, 0, alternative="less")
    interval = test.confidence_interval(0.95)
    assert ratio.ratio == pytest.approx(stats.gmean(a / b))
    assert (ratio.ratio_low, ratio.ratio_high) == pytest.approx((np.exp(interval.low), np.exp(interval.high)))
    assert ratio.ratio_upper == pytest.approx(np.exp(bound.confidence_interval(0.95).high))


def test_cost_ratios_of_one_pair_or_of_none_have_no_bounds() -> None:
    assert ratios.cost_ratio(np.array([1.0]), np.array([2.0]))[0] == 0.5
    assert np.isnan(ratios.cost_ratio(np.array([1.0]), np.array([2.0]))[1:]).all()
    assert np.isnan(ratios.cost_ratio(np.array([np.nan]), np.array([2.0]))[0])


def test_one_cost_that_is_not_known_leaves_no_ratio_as_the_others_need_not_be_like_it(clear: pd.DataFrame) -> None:
    some = (clear["policy"] == "stochastic") & (clear["replicate"] > 1)
    outcomes = clear.assign(energy_j=clear["energy_j"].mask(some))
    pair = ranking.against(ranking.pair_table(outcomes), "stochastic", "grid")
    assert pair["verdict"] == "equivalent"
    assert np.isnan([pair[name] for name in ratios.CostRatio._fields]).all()
    assert not ranking.claim_holds(pair, 1.0)
    rows = ranking.ranking(outcomes).set_index("label")
    assert np.isnan(rows.loc["stochastic", "energy_ratio"])


def test_few_pairs_are_screening_however_many_replicates_there_are(clear: pd.DataFrame) -> None:
    moved = clear["replicate"].where(clear["policy"] != "stochastic", clear["replicate"] + 10)
    outcomes = clear.assign(replicate=moved)
    rows = ranking.ranking(outcomes)
    assert rows.set_index("label").loc["stochastic", ["replicates", "pairs"]].tolist() == [12, 2]
    assert "screening: 2 of the 10" in ranking.screening(rows)
    assert rows.set_index("label")["screening"].to_dict()["stochastic"]
    assert headline(outcomes, 0).startswith("Screening (2 of 10 replicates): ")


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


def test_a_cheaper_policy_that_may_hold_is_said_beside_a_dearer_one_that_does() -> None:
    rng = np.random.default_rng(1)
    runs, trials = [], []
    for policy, spent, spread in (("grid", 20.0, 0.0005), ("tpe", 21.0, 0.0005), ("stochastic", 1.0, 0.006)):
        for i in range(12):
            key = f"{policy}{i}"
            runs.append(run(key, policy, i))
            trials.append(trial(key, 0, 0.9, 0.9 + rng.normal(0, spread), energy_j=spent))
    said = headline(run_outcomes(pd.DataFrame(runs), pd.DataFrame(trials)), 0)
    assert said.startswith("tpe reaches grid's accuracy (equivalent within 0.3 pp")
    assert "at 1.05 of its energy" in said
    assert "The data cannot tell yet whether stochastic reaches grid's accuracy at 0.0500 of its energy" in said


def test_runs_that_failed_are_named_with_what_they_spent(clear: pd.DataFrame) -> None:
    runs = [run("g", "grid"), run("s", "stochastic"), run("s1", "stochastic", 1, status="failed")]
    trials = [trial("g", 0, 0.9, 0.9), trial("s", 0, 0.9, 0.9)]
    trials.append(trial("s1", 0, None, None, status="failed", energy_j=500.0))
    outcomes = run_outcomes(pd.DataFrame(runs), pd.DataFrame(trials))
    assert "not counted: 1 run failed (stochastic 1, 139 mWh)" in notices(outcomes)
    unknown = [run("s2", "stochastic", 2, status="failed")]
    unmeasured = [trial("s2", 0, None, None, status="failed", energy_j=None)]
    more = run_outcomes(pd.DataFrame(runs + unknown), pd.DataFrame(trials + unmeasured))
    assert "not counted: 2 runs failed (stochastic 2, at least 139 mWh)" in notices(more)
    assert headline(outcomes, 0).endswith("Runs that failed are in no accuracy and no cost here: 1 of stochastic.")


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


def test_the_block_of_a_scenario_is_its_largest_comparison() -> None:
    """A first small run elsewhere neither takes policies out nor lends its costs to another machine's."""
    there = {"budget_limit": 5.0}
    runs = [run("small", "grid", **there), run("g", "grid"), run("t", "tpe")]
    trials = [trial("small", 0, 0.9, 0.1, energy_j=1.0), trial("g", 0, 0.9, 0.8), trial("t", 0, 0.9, 0.7)]
    outcomes = run_outcomes(pd.DataFrame(runs), pd.DataFrame(trials))
    assert outcomes["comparison"].tolist() == [0, 1, 1]
    assert across.block_matrix(outcomes).loc["digits"].to_dict() == {"grid": 0.8, "tpe": 0.7}


def test_performance_profiles_by_hand() -> None:
    costs = pd.DataFrame({"a": [1.0, 4.0, np.inf], "b": [2.0, 2.0, np.inf], "c": [np.inf, 2.0, np.inf]})
    profile = across.performance_profile(costs)
    assert list(profile.index) == [1.0, 2.0]
    np.testing.assert_allclose(profile.loc[1.0], [1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(profile.loc[2.0], [2 / 3, 2 / 3, 1 / 3])
