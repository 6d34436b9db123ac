"""Real runs whose trials share the teacher's outputs: charged once, in every currency, and no result is another."""

from __future__ import annotations

import pandas as pd
import pytest

import tune_kd
from tune_kd.budget.cost import Cost
from tune_kd.budget.ledger import Ledger
from tune_kd.planning.forecast import expected_trials, trial_cost
from tune_kd.planning.plan import RunPlan, plan_study
from tune_kd.progress.base import Progress

pytestmark = pytest.mark.slow

SMALL = {"recipe.epochs": 3, "teacher_recipe.epochs": 1}
SHARED = ["shared_flops", "shared_s", "shared_energy_j", "shared_co2e_g"]


class Heard(Progress):
    """Adds up what it hears that each run's trials share."""

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = {}

    def run_started(self, plan: RunPlan, ledger: Ledger) -> None:
        self.costs[plan.run_id] = Cost()

    def teacher_asked(self, plan: RunPlan, cost: Cost) -> None:
        self.costs[plan.run_id] += cost


def test_a_shared_teacher_is_charged_once_and_changes_no_result(ray_running, cache, tmp_path):
    plan = {"budget": "3trials", "settings": SMALL, "cache": cache}
    heard = Heard()
    shared = tune_kd.compare(["random", "tpe"], store=tmp_path / "shared", progress=heard, **plan).store
    alone = tune_kd.run("random", share_teacher=False, max_concurrent=1, store=tmp_path / "alone", **plan).store

    runs = shared.runs().set_index("policy")
    first, second = (shared.trials().query("run_id == @run_id") for run_id in runs.run_id[["random", "tpe"]])
    pd.testing.assert_series_equal(
        first.set_index("index").val_loss, alone.trials().set_index("index").val_loss, check_exact=True
    )

    unshared = alone.trials()
    assert alone.runs()[SHARED].isna().all(axis=None)
    assert (unshared.flops_teacher > 0).all()
    assert (shared.trials()[["flops_teacher", "teacher_s"]] == 0).all(axis=None)
    # One pass costs what each trial would have paid, and both runs are charged for it.
    assert (runs.shared_flops == unshared.flops_teacher.iloc[0]).all()
    assert (runs[SHARED] > 0).all(axis=None)
    for run in runs.itertuples():
        told = heard.costs[run.run_id]
        assert (told.flops, told.energy_j) == (run.shared_flops, pytest.approx(run.shared_energy_j, rel=1e-9))
    assert (first.flops_executed.sum() + runs.shared_flops["random"]) < unshared.flops_executed.sum()

    nodes = shared.nodes().set_index("run_id").energy_trials_j
    spent = [trials.energy_j.sum() + trials.energy_test_j.sum() for trials in (first, second)]
    computed, found = nodes[runs.run_id[["random", "tpe"]]]
    assert computed == pytest.approx(spent[0] + runs.shared_energy_j["random"], rel=1e-9)
    assert found == pytest.approx(spent[1], rel=1e-9)
    assert not list((cache / "teacher_outputs").glob("*")), "what nobody needs any more is removed"


def test_a_pass_that_would_take_more_than_half_of_the_budget_is_broken_off(ray_running, cache, tmp_path):
    outcome = tune_kd.run(
        "random", budget="3gflops", track="budget", settings=SMALL, store=tmp_path / "runs", cache=cache
    )
    run, trials = outcome.store.runs().iloc[0], outcome.store.trials()
    assert run.spent == run.shared_flops + trials.flops_executed.sum()
    assert len(trials) > 0


def test_without_distillation_no_teacher_is_asked_charged_or_forecast(ray_running, cache, tmp_path):
    settings = {**SMALL, "loss": "ce"}
    plan = {"budget": "2trials", "settings": settings, "max_concurrent": 1}
    outcome = tune_kd.run("random", store=tmp_path / "runs", cache=cache, **plan)
    trials = outcome.store.trials()
    assert outcome.store.runs()[SHARED].isna().all(axis=None)
    assert (trials[["flops_teacher", "teacher_s"]] == 0).all(axis=None)

    cost = trial_cost(outcome.store, outcome.study.scenario)
    assert cost.shared == Cost()
    budget = f"{trials.flops_executed.sum()}flops"
    [plan] = plan_study(policies=["random"], budget=budget, track="budget", settings=settings).runs
    assert expected_trials(plan, cost) == 2
