"""Curves never look ahead, follow the incumbent and cost everything that was spent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from synthetic import DAY, Recipe, make_frames, run, trial

from analysis.curves import curve_ends, mean_curve, mean_curves, run_curves
from analysis.figures.charts import curve_chart
from analysis.figures.data import pareto_points
from analysis.runs.accounting import CURRENCIES, Accounting, run_costs
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records
from analysis.statistics.intervals import area, step, t_interval
from analysis.summary import shown_unit, tabulate
from tune_kd.errors import InputError


def curve_of(trials: list[dict[str, object]], accounting: Accounting | None = None, **changes: float) -> pd.DataFrame:
    runs, frame = pd.DataFrame([{**run("a", "grid"), **changes}]), pd.DataFrame(trials)
    return run_curves(run_outcomes(runs, frame), runs, frame, accounting)


def test_a_step_holds_from_its_cost_on_and_nothing_is_known_before_the_first() -> None:
    cost, value = np.array([10.0, 20.0, 40.0]), np.array([0.5, 0.7, 0.6])
    at = np.array([0.0, 9.999, 10.0, 19.9, 20.0, 39.0, 40.0, 1e9])
    expected = [np.nan, np.nan, 0.5, 0.5, 0.7, 0.7, 0.6, 0.6]
    np.testing.assert_array_equal(step(cost, value, at), expected)


@given(st.lists(st.tuples(st.floats(0.1, 9), st.floats(0, 1)), min_size=1, max_size=8), st.floats(0, 80))
def test_a_step_function_knows_only_what_was_paid_for(pairs: list[tuple[float, float]], at: float) -> None:
    cost, value = np.cumsum([x for x, _ in pairs]), np.array([y for _, y in pairs])
    paid = cost <= at
    known = step(cost[paid], value[paid], np.array([at])) if paid.any() else [np.nan]
    np.testing.assert_array_equal(step(cost, value, np.array([at])), known)


def test_the_incumbent_brings_its_test_which_may_fall() -> None:
    curve = curve_of([trial("a", 0, 0.8, 0.9), trial("a", 1, 0.9, 0.7), trial("a", 2, 0.85, 0.99)])
    assert list(curve["cost"]) == [10, 20, 30]
    assert list(curve["val_score"]) == [0.8, 0.9, 0.9]
    assert list(curve["test_score"]) == [0.9, 0.7, 0.7]
    assert list(curve["trial_id"]) == ["a-0000", "a-0001", "a-0001"]


def test_of_equal_trials_the_one_of_the_lowest_index_counts_as_soon_as_it_has_ended() -> None:
    first, second = DAY + pd.Timedelta(hours=1), DAY + pd.Timedelta(hours=2)
    in_order = [trial("a", 0, 0.8, 0.5, ended_at=first), trial("a", 1, 0.8, 0.6, ended_at=second)]
    assert list(curve_of(in_order)["test_score"]) == [0.5, 0.5]
    overtaken = [trial("a", 0, 0.8, 0.5, ended_at=second), trial("a", 1, 0.8, 0.6, ended_at=first)]
    assert list(curve_of(overtaken)["test_score"]) == [0.6, 0.5]


def test_the_last_point_of_a_curve_is_the_runs_outcome() -> None:
    frames = make_frames(replicates=2)
    outcomes = run_outcomes(frames.runs, frames.trials)
    last = run_curves(outcomes, frames.runs, frames.trials).groupby("run_id").last()
    whole = outcomes.set_index("run_id").loc[last.index]
    np.testing.assert_allclose(last["cost"], whole["energy_j"])
    np.testing.assert_array_equal(last[["val_score", "test_score"]], whole[["val_score", "test_score"]])


def test_order_is_that_of_completion_not_of_the_index() -> None:
    late = trial("a", 0, 0.8, 0.1, energy_j=1.0, ended_at=DAY + pd.Timedelta(hours=3))
    curve = curve_of([late, trial("a", 1, 0.7, 0.2, energy_j=5.0)])
    assert list(curve["cost"]) == [5.0, 6.0]
    assert list(curve["test_score"]) == [0.2, 0.1]


def test_failures_cost_and_bring_nothing() -> None:
    curve = curve_of([trial("a", 0, None, None, status="failed", energy_j=7.0), trial("a", 1, 0.8, 0.7)])
    assert list(curve["cost"]) == [7.0, 17.0]
    assert np.isnan(curve["test_score"].iloc[0])
    assert curve["test_score"].iloc[1] == 0.7


def test_what_is_shared_is_paid_before_the_first_trial() -> None:
    curve = curve_of([trial("a", 0, 0.8, 0.7)], shared_energy_j=100.0, shared_flops=5.0)
    assert list(curve["cost"]) == [110.0]


def test_an_incumbent_without_a_test_does_not_pass_off_its_predecessors() -> None:
    runs = pd.DataFrame([run("a", "grid")])
    trials = pd.DataFrame([trial("a", 0, 0.7, 0.7), trial("a", 1, 0.8, None), trial("a", 2, 0.9, 0.9)])
    curve = run_curves(run_outcomes(runs, trials), runs, trials)
    np.testing.assert_array_equal(curve["test_score"], [0.7, np.nan, 0.9])


def test_a_run_with_an_unknown_cost_has_no_curve_in_that_currency_only() -> None:
    trials = [trial("a", 0, 0.8, 0.7), trial("a", 1, 0.8, 0.7, energy_j=None)]
    assert curve_of(trials).empty
    assert list(curve_of(trials, Accounting(currency="flops"))["cost"]) == [100, 200]


@pytest.mark.parametrize(
    ("accounting", "total"),
    [
        (Accounting(), 17.0),
        (Accounting(failed=False), 10.0),
        (Accounting(test=True), 19.0),
        (Accounting(teacher_runs=1), 67.0),
        (Accounting(teacher_runs=10), 22.0),
        (Accounting(currency="flops"), 200.0),
        (Accounting(currency="co2e"), 2.0),
        (Accounting(currency="time"), 10.0),
        (Accounting(currency="epochs"), 6.0),
    ],
)
def test_the_same_records_under_every_rule(accounting: Accounting, total: float) -> None:
    failed = trial("a", 0, None, None, status="failed", energy_j=7.0)
    rows = [failed, trial("a", 1, 0.8, 0.7, energy_test_j=2.0)]
    assert curve_of(rows, accounting, teacher_energy_j=50.0)["cost"].iloc[-1] == total
    runs = pd.DataFrame([run("a", "grid", teacher_energy_j=50.0)])
    assert run_costs(runs, pd.DataFrame(rows), accounting)["a"] == total


def test_who_does_without_a_teacher_is_charged_for_none() -> None:
    runs = pd.DataFrame([run(policy, policy, teacher_energy_j=50.0) for policy in ("student", "fixed")])
    rows = pd.DataFrame([trial(policy, 0, 0.8, 0.7) for policy in ("student", "fixed")])
    assert run_costs(runs, rows, Accounting(teacher_runs=1)).to_dict() == {"student": 10.0, "fixed": 60.0}


def test_a_rule_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="unknown currency 'joules'"):
        Accounting(currency="joules")
    with pytest.raises(InputError, match="at least 1 run, got 0"):
        Accounting(teacher_runs=0)


def test_the_mean_of_replicates_waits_for_the_last_to_have_an_incumbent() -> None:
    curve = mean_curve([(np.array([10.0, 30.0]), np.array([0.6, 0.8])), (np.array([20.0]), np.array([0.7]))])
    assert list(curve["cost"]) == [10, 20, 30]
    np.testing.assert_allclose(curve["mean"], [np.nan, 0.65, 0.75])
    expected = stats.ttest_1samp([0.8, 0.7], 0).confidence_interval(0.95)
    np.testing.assert_allclose(curve[["low", "high"]].iloc[-1], [expected.low, expected.high])


def test_mean_curves_are_by_comparison_and_policy() -> None:
    frames = make_frames(replicates=3)
    curves = mean_curves(run_curves(run_outcomes(frames.runs, frames.trials), frames.runs, frames.trials))
    assert set(curves["label"]) == set(frames.runs["policy"])
    assert set(curves["n"]) == {3}


def test_beyond_the_cheapest_replicate_not_all_spend() -> None:
    curve = mean_curve([(np.array([10.0, 30.0]), np.array([0.6, 0.8])), (np.array([20.0]), np.array([0.7]))])
    assert list(curve["spending"]) == [2, 2, 1]


def test_table_pareto_plot_and_curve_end_at_one_point() -> None:
    frames = make_frames(replicates=3, seed=4)
    records = Records(**frames._asdict(), outcomes=run_outcomes(frames.runs, frames.trials, frames.nodes))
    for currency, known in CURRENCIES.items():
        table = tabulate(records.outcomes).set_index("label")
        front = pareto_points(records.outcomes, currency).set_index("label")
        rule = Accounting(currency=currency)
        ends = curve_ends(records.outcomes, frames.runs, frames.trials, rule).set_index("label")
        assert set(ends.index) == set(table.index)
        for label in table.index:
            expected = table.loc[label, [known.trial, "test_score_mean"]].astype(float).tolist()
            assert front.loc[label, ["cost", "accuracy"]].astype(float).tolist() == pytest.approx(expected)
            assert ends.loc[label, ["cost", "mean"]].astype(float).tolist() == pytest.approx(expected)


def test_a_chart_draws_a_curve_as_far_as_all_replicates_spent_and_marks_what_follows() -> None:
    frames = make_frames(policies={"grid": Recipe(trials=19, tau=True)}, replicates=3, seed=4)
    records = Records(**frames._asdict(), outcomes=run_outcomes(frames.runs, frames.trials, frames.nodes))
    chart = curve_chart(records, 0)
    assert chart is not None
    (grid,) = chart["series"]
    totals = sorted(records.outcomes["energy_j"])
    base = shown_unit("energy", pd.Series(totals))[1]
    assert grid["rows"]["energy"][-1][0] * base == pytest.approx(totals[0], rel=1e-4)
    assert grid["beyond"]["energy"][0] == grid["rows"]["energy"][-1]
    assert grid["beyond"]["energy"][-1][0] * base == pytest.approx(totals[2], rel=1e-4)
    assert grid["ends"]["energy"][0] * base == pytest.approx(np.mean(totals), rel=1e-4)


def test_a_policy_with_a_run_of_unknown_cost_has_no_end() -> None:
    runs = pd.DataFrame([run("a", "grid", 0), run("b", "grid", 1)])
    trials = pd.DataFrame([trial("a", 0, 0.8, 0.7), trial("b", 0, 0.8, 0.7, energy_j=None)])
    assert curve_ends(run_outcomes(runs, trials), runs, trials).empty


@pytest.mark.parametrize("currency", ["energy", "flops", "co2e", "time"])
def test_what_the_trials_share_is_charged_once_a_run_in_every_currency(currency: str) -> None:
    frames = make_frames(policies={"grid": Recipe(trials=3), "stochastic": Recipe()}, replicates=2)
    shared = {"shared_energy_j": 100.0, "shared_flops": 7e13, "shared_s": 3.0, "shared_co2e_g": 0.01}
    more, rule = frames.runs.assign(**shared), Accounting(currency=currency)
    known = CURRENCIES[currency]
    before, after = (run_outcomes(runs, frames.trials) for runs in (frames.runs, more))
    once = shared[str(known.shared)]
    np.testing.assert_allclose(after[known.trial] - before[known.trial], once)
    steps = [
        run_curves(outcomes, runs, frames.trials, rule) for outcomes, runs in ((before, frames.runs), (after, more))
    ]
    np.testing.assert_allclose(steps[1]["cost"] - steps[0]["cost"], once)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_t_intervals_are_those_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.9, 0.01, n)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((values.mean(), expected.low, expected.high))


def test_area_by_hand() -> None:
    bounds = {"best": 1.0, "reference": 0.5, "start": 1.0, "budget": 100.0}
    cost, accuracy = np.array([10.0]), np.array([0.75])
    assert area(cost, accuracy, **bounds) == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    assert area(np.array([0.5]), np.array([1.0]), **bounds) == 0
    assert area(np.array([200.0]), np.array([1.0]), **bounds) == 1
    with pytest.raises(ValueError, match="need 0 < start < budget"):
        area(cost, accuracy, best=1.0, reference=0.5, start=1.0, budget=1.0)
