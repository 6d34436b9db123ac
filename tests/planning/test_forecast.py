"""What a study is going to cost: from one measured trial, by policy, and unknown where nothing was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tune_simulator import Simulator, kept

from tune_kd.budget.cost import Cost
from tune_kd.config.scenario import load_scenario
from tune_kd.data import ImageData
from tune_kd.history.records import RunRow, plan_rows
from tune_kd.planning.forecast import TrialCost, forecast, trial_cost
from tune_kd.planning.looks import Deciding
from tune_kd.planning.plan import plan_study
from tune_kd.store import create_store
from tune_kd.store.reading.plain_rows import plain_rows

MEASURED: dict[str, Any] = {"energy_j": 100.0, "co2e_g": 2.0, "duration_s": 10.0, "flops": 1e12}
COST = TrialCost(epochs=8, trials=4, source="measured", **MEASURED)
POLICIES = ["grid", "random", "stochastic"]


def rows(budget: str, track: str = "recipe", cost: TrialCost | None = COST, **asked: Any) -> list[Any]:
    return forecast(plan_study(policies=POLICIES, budget=budget, track=track, **asked), cost)


@pytest.mark.parametrize(
    ("budget", "track", "trials"),
    [
        ("20trials", "recipe", [19, 20, 1]),
        ("5trials", "recipe", [5, 5, 1]),
        ("30trials", "budget", [19, 30, 30]),  # the grid leaves what its levels do not need
        ("60epochs", "budget", [7.5, 7.5, 7.5]),
        ("2kJ", "budget", [19, 20, 20]),
        ("2kJ", "recipe", [19, 20, 1]),
        ("5g", "budget", [2.5, 2.5, 2.5]),
        ("35s", "budget", [3.5, 3.5, 3.5]),
        ("4e12flops", "budget", [4, 4, 4]),
        ("7trials-equivalent", "budget", [7, 7, 7]),
    ],
)
def test_trials_are_those_of_the_recipe_or_as_many_as_the_budget_holds(
    budget: str, track: str, trials: list[float]
) -> None:
    assert [row.trials for row in rows(budget, track)] == trials


def test_costs_are_those_of_all_replicates() -> None:
    grid, _, stochastic = rows("20trials", replicates=3)
    assert (grid.runs, grid.energy_j, grid.co2e_g, grid.duration_s) == (3, 5700, 114, 570)
    assert (stochastic.runs, stochastic.energy_j) == (3, 300)


def test_what_the_trials_share_is_paid_once_a_run_and_by_a_trial_alone_in_full() -> None:
    shared = Cost(flops=10**12, duration_s=4.0, energy_j=50.0, co2e_g=1.0)
    cost = TrialCost(epochs=8, trials=4, source="measured", shared=shared, **MEASURED)
    grid, random, stochastic = rows("20trials", cost=cost, replicates=2)
    assert (grid.energy_j, grid.co2e_g, grid.duration_s) == (2 * (19 * 100 + 50), 2 * (19 * 2 + 1), 2 * (19 * 10 + 4))
    assert random.energy_j == 2 * (20 * 100 + 50)
    assert (stochastic.energy_j, stochastic.duration_s) == (2 * 150, 2 * 14)
    assert [row.trials for row in rows("450J", "budget", cost=cost)] == [4, 4, 4]
    # A pass that would take more than half of the budget is broken off: then each trial asks the teacher itself.
    assert [row.trials for row in rows("75J", "budget", cost=cost)] == [0.5, 0.5, 0.5]


def test_what_was_not_measured_is_unknown() -> None:
    unmeasured = TrialCost(epochs=8, trials=1, source="measured", **{**MEASURED, "energy_j": None})
    grid, random, _ = rows("2kJ", "budget", unmeasured)
    assert (grid.trials, random.trials) == (19, None)
    assert (grid.energy_j, grid.duration_s, random.duration_s) == (None, 190, None)
    for row in rows("20trials", cost=None):
        assert row.trials is not None
        assert (row.energy_j, row.co2e_g, row.duration_s) == (None, None, None)


def test_a_policy_or_a_track_that_stops_early_needs_that_much_at_most() -> None:
    labels = ["asha", "random"]
    assert [row.at_most for row in forecast(plan_study(policies=labels), COST)] == [True, False]
    target = plan_study(policies=labels, track="target", target_accuracy=0.9)
    assert [row.at_most for row in forecast(target, COST)] == [True, True]


def test_a_comparison_until_decided_needs_the_replicates_of_its_last_look_at_most() -> None:
    grid, random, stochastic = rows("20trials", deciding=Deciding(until_decided=True, max_replicates=30))
    assert [row.runs for row in (grid, random, stochastic)] == [30, 30, 30]
    assert (grid.energy_j, stochastic.co2e_g) == (30 * 19 * 100, 30 * 2)
    assert all(row.runs_at_most and not row.at_most for row in (grid, random, stochastic))
    of_one_look = rows("20trials", deciding=Deciding(until_decided=True, max_replicates=4))
    assert [(row.runs, row.runs_at_most) for row in of_one_look] == [(4, False)] * 3, "it takes no fewer"


def test_a_trial_costs_what_whole_fixed_trials_of_the_scenario_did(digits: ImageData, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"settings": {"recipe.epochs": 5}, "budget": "6trials"}
    store = create_store(tmp_path / "runs")
    study = plan_study(policies=["random", "stochastic"], **asked)
    plan_rows(study, digits, store)
    for plan in study.runs:
        run = Simulator(plan=plan, seed=1, crashes=0.1)
        run.run()
        kept(run, tmp_path / "runs")
    cost = trial_cost(store, study.scenario)
    trials = store.trials()
    whole = trials[(trials.status == "completed") & (trials.attempt == 0) & trials.tau.notna()]
    assert cost is not None
    assert 1 <= len(whole) < len(trials)
    assert (cost.trials, cost.epochs) == (len(whole), 5)
    assert cost.energy_j == pytest.approx(whole.energy_j.mean())
    assert cost.flops == pytest.approx(whole.flops_executed.mean())
    assert cost.shared == Cost(), "nothing was shared"
    shared = {"shared_flops": 6e9, "shared_s": 2.0, "shared_energy_j": 30.0, "shared_co2e_g": 0.5}
    for row in plain_rows(store.runs()):
        store.write_run({**row, **shared})
    again = trial_cost(store, study.scenario)
    assert again is not None
    assert again.shared == Cost(flops=6 * 10**9, duration_s=2.0, energy_j=30.0, co2e_g=0.5)
    assert trial_cost(store, load_scenario("digits")) is None, "another number of epochs is another scenario"


def test_the_same_scenario_is_found_by_its_hash(digits: ImageData) -> None:
    first, second = (plan_study(policies=[name]) for name in ("grid", "tpe"))
    hashes = {RunRow.planned(study, study.runs[0], digits).columns["scenario_sha256"] for study in (first, second)}
    assert len(hashes) == 1
