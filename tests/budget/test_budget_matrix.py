"""Every policy under a budget in every currency, through the engine's own searcher, stopper and ledger, without Ray."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from tune_simulator import Simulator, kept

from policies import POLICIES
from tune_kd.budget.ledger import SPENT
from tune_kd.events import EpochReport, TrialEnded, TrialMetered, TrialStarted
from tune_kd.history.run_history import history_of
from tune_kd.planning.plan import RunPlan, plan_study

BUDGETS = {
    "trials": "6trials",
    "epochs": "21epochs",
    "flops": "250flops",
    "joules": "250J",
    "gco2e": "250g",
    "seconds": "250s",
}
EPOCHS = 5

every_policy = pytest.mark.parametrize("policy", POLICIES)
every_currency = pytest.mark.parametrize("currency", BUDGETS)
every_concurrency = pytest.mark.parametrize("workers", [1, 2])


@pytest.fixture(autouse=True)
def no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk: what is left of a budget is read back by this process, from the kernel's memory."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def plan_of(policy: str, currency: str, track: str = "budget") -> RunPlan:
    settings = {"recipe.epochs": EPOCHS}
    return plan_study(policies=[policy], budget=BUDGETS[currency], track=track, settings=settings).runs[0]


@every_policy
@every_currency
@every_concurrency
def test_a_run_spends_its_budget_and_no_more_than_an_epoch_a_running_trial(
    policy: str, currency: str, workers: int
) -> None:
    run = Simulator(plan=plan_of(policy, currency), workers=workers, seed=3)
    run.run()
    limit = run.plan.budget.limit
    assert run.ledger.spent == run.charged
    assert run.charged + run.dearest > limit, "less than an epoch of the budget is left"
    assert run.ledger.overshoot == max(0.0, run.charged - limit) <= run.dearest * workers
    late = Counter(event.trial_id for event in run.at_limit)
    assert len(late) < workers, "the trial that spends the last of it ends with that report"
    assert set(late.values()) <= {1}
    assert set(run.statuses) == run.started


@every_policy
@every_currency
@every_concurrency
def test_what_fails_and_is_tried_again_is_charged_but_in_trials(policy: str, currency: str, workers: int) -> None:
    run = Simulator(plan=plan_of(policy, currency), workers=workers, seed=7, crashes=0.2)
    run.run()
    attempts = {(event.trial_id, event.attempt) for event in run.of(TrialStarted)}
    failed = [event for event in run.of(TrialEnded) if event.status == "failed"]
    assert failed
    assert len(attempts) > len(run.started), "none was tried again"
    assert run.ledger.spent == run.charged
    if currency == "trials":
        assert run.charged == len(run.started) == run.plan.budget.limit
        assert run.ledger.overshoot == 0
    else:
        assert run.ledger.overshoot <= run.dearest * (workers + run.retried_late)
    if currency in SPENT and currency not in ("joules", "gco2e"):
        last = {(event.trial_id, event.attempt): event for event in run.of(EpochReport)}
        assert run.ledger.spent == sum(SPENT[currency](event) or 0 for event in last.values())


@every_policy
@every_currency
def test_the_recipe_track_gives_each_policy_its_own_number_of_trials(policy: str, currency: str) -> None:
    run = Simulator(plan=plan_of(policy, currency, "recipe"), workers=2, seed=5)
    run.run()
    assert run.ledger.spent == run.charged
    native = run.plan.max_trials
    assert native is None or len(run.started) <= native


def test_a_worker_killed_within_an_epoch_is_charged_for_it() -> None:
    run = Simulator(plan=plan_of("grid", "joules"), seed=2, crashes=0.3)
    run.run()
    reported = sum({(e.trial_id, e.attempt): e.energy_j for e in run.of(EpochReport)}.values())
    assert run.ledger.spent == run.charged > reported


@every_policy
@every_currency
def test_a_run_that_goes_on_from_its_store_has_the_budget_that_was_left(
    policy: str, currency: str, tmp_path: Path
) -> None:
    plan = plan_of(policy, currency)
    first = Simulator(plan=plan, workers=2, seed=11, crashes=0.15)
    first.run(most=9)
    history = history_of(kept(first, tmp_path / "runs"), plan.run_id)
    second = Simulator(plan=plan, workers=2, seed=12, history=history)
    assert second.ledger.spent == first.ledger.spent, "the store has it to the last joule"
    second.run()
    limit = plan.budget.limit
    assert second.ledger.spent == second.charged
    assert limit - second.dearest < second.ledger.spent <= limit + 2 * second.dearest
    third = Simulator(plan=plan, history=history_of(kept(second, tmp_path / "runs"), plan.run_id))
    assert third.ledger.spent == second.ledger.spent
    third.run()
    assert not third.events, "a second budget was spent"


@every_currency
def test_the_store_says_what_the_ledger_says_to_the_last_joule(currency: str, tmp_path: Path) -> None:
    run = Simulator(plan=plan_of("random", currency), workers=2, seed=13, crashes=0.2)
    run.run()
    assert run.of(TrialMetered)
    trials = kept(run, tmp_path / "runs").trials()
    column = {"flops": "flops_executed", "joules": "energy_j", "gco2e": "co2e_g", "seconds": "duration_s"}
    if currency == "trials":
        assert run.ledger.spent == trials.trial_id.nunique()
    elif currency in column:
        assert run.ledger.spent == trials[column[currency]].sum()
    else:
        assert run.ledger.spent == len(run.of(EpochReport))
