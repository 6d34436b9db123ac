"""The cost to a target: known answers, and statsmodels as the oracle."""

from __future__ import annotations

from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.proportion import proportion_confint
from synthetic import DAY, PAPER, Recipe, make_frames, run, trial

from analysis import sensitivity, target
from analysis.figures.data import accuracy_by
from analysis.runs.accounting import Accounting
from analysis.runs.outcomes import run_outcomes
from analysis.statistics import censored


def table_of(runs: list[dict[str, object]], trials: list[dict[str, object]], accuracy: float) -> pd.DataFrame:
    runs_frame, frame = pd.DataFrame(runs), pd.DataFrame(trials)
    return target.target_table(run_outcomes(runs_frame, frame), runs_frame, frame, target=accuracy).set_index("label")


def test_known_answers_of_two_hits_and_a_miss() -> None:
    runs = [run(f"g{i}", "grid", i, budget_currency="joules", budget_limit=40.0) for i in range(3)]
    trials = [trial("g0", 0, 0.9, 0.9), trial("g1", 0, 0.5, 0.5), trial("g1", 1, 0.9, 0.9), trial("g2", 0, 0.5, 0.5)]
    row = table_of(runs, trials, 0.8).loc["grid"]
    assert (row["n"], row["reached"], row["budget"]) == (3, 2, 40.0)
    assert row["rmst"] == pytest.approx((10 + 20 + 40) / 3)
    assert row["par2"] == pytest.approx((10 + 20 + 80) / 3)
    assert row["ert"] == pytest.approx((10 + 20 + 10) / 2)


def test_what_was_reached_beyond_the_budget_was_not_reached() -> None:
    runs = [run("g", "grid", budget_currency="joules", budget_limit=15.0)]
    row = table_of(runs, [trial("g", 0, 0.5, 0.5), trial("g", 1, 0.9, 0.9)], 0.8).loc["grid"]
    assert (row["reached"], row["rmst"], row["ert"]) == (0, 15.0, np.inf)


@pytest.mark.parametrize(
    ("currency", "budget"), [("energy", "joules"), ("co2e", "gco2e"), ("time", "seconds"), ("flops", "flops")]
)
def test_the_budget_censors_in_the_currency_that_it_is_in_under_any_rule(currency: str, budget: str) -> None:
    runs = pd.DataFrame([run("g", "grid", budget_currency=budget, budget_limit=1.5)])
    frame = pd.DataFrame([trial("g", 0, 0.5, 0.5), trial("g", 1, 0.9, 0.9)])
    for rule in (Accounting(currency=currency), Accounting(currency=currency, failed=False)):
        table = target.target_table(run_outcomes(runs, frame), runs, frame, accounting=rule, target=0.8)
        assert table[["budget", "rmst", "reached"]].iloc[0].tolist() == [1.5, 1.5, 0]


def test_an_interval_of_costs_ends_at_the_budget_and_is_there_where_all_runs_missed() -> None:
    runs = [run(f"{policy}{i}", policy, i) for policy in ("grid", "tpe") for i in range(3)]
    trials = [trial(f"grid{i}", 0, 0.9 if i else 0.5, 0.9, energy_j=90.0 + 5 * i) for i in range(3)]
    trials += [trial(f"tpe{i}", 0, 0.5, 0.5, energy_j=100.0) for i in range(3)]
    table = table_of(runs, trials, 0.8)
    assert table.loc["grid", "rmst_low"] < 98.0 < table.loc["grid", "rmst_high"] <= table.loc["grid", "budget"] == 100.0
    assert (table.loc["tpe", "rmst"], table.loc["tpe", "rmst_high"]) == (100.0, pytest.approx(100.0))
    assert table.loc["tpe", "rmst_low"] == pytest.approx(100 * 0.025 ** (1 / 3), rel=0.04), "Clopper and Pearson's"


@pytest.mark.parametrize(("misses", "n"), [(0, 4), (1, 5), (6, 10), (3, 3)])
def test_the_interval_of_all_or_nothing_is_clopper_and_pearsons(misses: int, n: int) -> None:
    cost = np.where(np.arange(n) < misses, 1.0, 0.0)
    expected = proportion_confint(misses, n, method="beta")
    assert censored.bounded_mean_interval(cost, 1.0) == pytest.approx(np.nan_to_num(expected), abs=0.01)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=8), st.floats(0.1, 5), st.randoms())
def test_an_interval_of_costs_holds_the_mean_scales_and_knows_no_order(
    costs: list[float], scale: float, random: Random
) -> None:
    values = np.array(costs)
    low, high = censored.bounded_mean_interval(values, 10.0)
    assert 0 <= low <= values.mean() + 1e-9
    assert values.mean() - 1e-9 <= high <= 10 + 1e-9
    assert censored.bounded_mean_interval(scale * values, scale * 10.0) == pytest.approx((scale * low, scale * high))
    random.shuffle(costs)
    assert censored.bounded_mean_interval(np.array(costs), 10.0) == pytest.approx((low, high), rel=1e-12)


def test_without_a_budget_in_the_currency_the_largest_spend_censors() -> None:
    runs = [run("g", "grid"), run("s", "stochastic")]
    trials = [trial("g", i, 0.5 + 0.1 * i, 0.5) for i in range(4)] + [trial("s", 0, 0.5, 0.5)]
    table = table_of(runs, trials, 0.79)
    assert table.loc["stochastic", "rmst"] == 40.0
    assert table.loc["grid", "rmst"] == 40.0
    assert table.loc["grid", "success"] == 1


def test_a_run_in_which_everything_failed_is_a_miss() -> None:
    runs = [run("g0", "grid", 0), run("g1", "grid", 1, status="failed"), run("g2", "grid", 2, status="planned")]
    trials = [trial("g0", 0, 0.9, 0.9), trial("g1", 0, None, None, status="failed", energy_j=4.0)]
    row = table_of(runs, trials, 0.8).loc["grid"]
    assert (row["n"], row["reached"], row["ert"]) == (2, 1, 14.0)


def test_a_failed_replicate_that_was_run_again_is_the_later_run() -> None:
    runs = [run("g0", "grid", 0, status="failed"), run("g1", "grid", 0)]
    trials = [trial("g0", 0, None, None, status="failed"), trial("g1", 0, 0.9, 0.9)]
    assert table_of(runs, trials, 0.8).loc["grid", "n"] == 1


def test_the_target_is_the_median_of_fixed_tau_less_the_margin() -> None:
    runs = pd.DataFrame([run(f"g{i}", "grid", i) for i in range(3)])
    trials = [trial(f"g{i}", 0, val, 0.5, tau=4.0) for i, val in enumerate((0.90, 0.80, 0.95))]
    trials += [trial(f"g{i}", 1, 0.99, 0.5, tau=5.0) for i in range(3)]
    frame = pd.DataFrame(trials)
    found = target.target_of(run_outcomes(runs, frame), frame)
    assert found is not None
    assert found.accuracy == pytest.approx(0.90 - 0.003)
    assert "τ = 4 over 3 replicates − 0.3 pp" in found.source
    assert target.target_of(run_outcomes(runs, frame), frame, tau=7.0) is None


def test_the_target_is_of_whole_trainings_and_of_the_fixed_policy_where_there_is_one() -> None:
    runs = pd.DataFrame([run("a", "asha"), run("f", "fixed", started_at=DAY + pd.Timedelta(hours=1))])
    cut_short = trial("a", 0, 0.4, 0.4, tau=4.0, status="stopped", epochs=1)
    whole = [trial("a", 1, 0.8, 0.8, tau=4.0), trial("f", 9, 0.95, 0.95, tau=4.0)]
    frame = pd.DataFrame([cut_short, *whole])
    for policies, accuracy in ((("asha", "fixed"), 0.95), (("asha",), 0.8)):
        outcomes = run_outcomes(runs[runs["policy"].isin(policies)], frame)
        found = target.target_of(outcomes, frame)
        assert found is not None
        assert found.accuracy == pytest.approx(accuracy - 0.003)
    by_tau = accuracy_by(run_outcomes(runs, frame), frame, "tau")
    assert by_tau["mean"].tolist() == [pytest.approx((0.8 + 0.95) / 2)]


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (3, 10), (9, 10)])
def test_the_success_interval_is_wilsons(successes: int, n: int) -> None:
    assert censored.wilson(successes, n) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-12)
    assert censored.wilson(0, 0) == (0, 1)


runs_to_target = st.lists(st.tuples(st.floats(0.5, 99), st.booleans()), min_size=1, max_size=12)


@given(runs_to_target)
def test_rmst_is_the_area_under_kaplan_meier(runs: list[tuple[float, bool]]) -> None:
    budget = 100.0
    reached = np.array([hit for _, hit in runs])
    cost = np.where(reached, [time for time, _ in runs], budget)
    curve = censored.kaplan_meier(cost, reached)
    edges = np.append(curve["cost"], budget)
    covered = edges[1:] <= budget
    integral = np.sum((np.diff(edges) * curve["missing"])[covered])
    assert censored.rmst(cost, budget) == pytest.approx(integral)


def test_kaplan_meier_is_that_of_statsmodels() -> None:
    cost, reached = np.array([1.0, 2.0, 2.0, 5.0]), np.array([True, True, False, False])
    ours, theirs = censored.kaplan_meier(cost, reached), SurvfuncRight(cost, reached.astype(int))
    np.testing.assert_allclose(ours["missing"][1:], theirs.surv_prob)
    np.testing.assert_allclose(ours["missing"], [1.0, 0.75, 0.5])


def test_a_comparison_without_target_or_energy_has_no_rows_but_other_currencies() -> None:
    runs, rows = pd.DataFrame([run("s", "stochastic")]), [trial("s", 0, 0.9, 0.9, tau=None)]
    frame = pd.DataFrame(rows)
    assert target.target_table(run_outcomes(runs, frame), runs, frame).empty
    unmeasured = frame.assign(energy_j=np.nan)
    outcomes = run_outcomes(runs, unmeasured)
    assert target.target_table(outcomes, runs, unmeasured, target=0.8).empty
    by_flops = target.target_table(outcomes, runs, unmeasured, target=0.8, accounting=Accounting(currency="flops"))
    assert by_flops["rmst"].tolist() == [100.0]


def test_the_teacher_in_full_brings_the_costs_together_and_the_table_says_what_changes() -> None:
    frames = make_frames(policies={**PAPER, "slow": Recipe(trials=1, trial_j=9000.0)}, replicates=3)
    outcomes = run_outcomes(frames.runs, frames.trials)
    table = sensitivity.sensitivity_table(outcomes, frames.runs, frames.trials, target=0.85)
    energy = table[(table["currency"] == "energy") & (table["label"] == "slow")].set_index("rule")["ratio"]
    assert energy["as recorded"] > energy["teacher over 10 runs"] > energy["teacher in full"] > 1
    assert set(table["currency"]) == {"energy", "flops", "co2e", "time", "epochs"}
    # By FLOPs the slow policy costs as much as the others: its rank is another.
    slow = table[(table["label"] == "slow") & (table["rule"] == "as recorded")].set_index("currency")
    assert slow.loc["energy", "rank"] == 6
    assert slow.loc["flops", "rank"] == 1
    assert slow.loc["flops", "changed"]
    assert "*" in "".join(cell for row in sensitivity.format_sensitivity(table).rows for cell in row)


def test_freeing_failed_attempts_can_change_the_winner() -> None:
    runs = pd.DataFrame([run("g", "grid"), run("s", "stochastic")])
    failed = trial("s", 0, None, None, status="failed", energy_j=50.0)
    trials = pd.DataFrame([trial("g", 0, 0.9, 0.9, energy_j=20.0), failed, trial("s", 1, 0.9, 0.9)])
    table = sensitivity.sensitivity_table(run_outcomes(runs, trials), runs, trials, target=0.8)
    by_joules = table[(table["currency"] == "energy") & (table["rank"] == 1)].set_index("rule")["label"]
    assert by_joules["as recorded"] == "grid"
    assert by_joules["failed attempts free"] == "stochastic"


def test_survival_curves_end_at_the_budget_with_the_share_of_misses() -> None:
    frames = make_frames(replicates=10)
    outcomes = run_outcomes(frames.runs, frames.trials)
    table = target.target_table(outcomes, frames.runs, frames.trials).set_index("label")
    curves = target.survival_table(outcomes, frames.runs, frames.trials)
    for label, mine in curves.groupby("label"):
        assert (mine["cost"].iloc[0], mine["missing"].iloc[0]) == (0.0, 1.0)
        assert mine["cost"].iloc[-1] == table["budget"][label]
        assert mine["missing"].iloc[-1] == pytest.approx(1 - table["success"][label])
        assert mine["missing"].is_monotonic_decreasing
        # RMST is the area under the curve.
        area = (mine["missing"].to_numpy()[:-1] * np.diff(mine["cost"])).sum()
        assert area == pytest.approx(table["rmst"][label])
