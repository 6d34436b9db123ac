"""Budgets of real runs: what the ledger charged is what the store holds, and a target ends a run."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import tune_kd

pytestmark = pytest.mark.slow

SMALL = {"recipe.epochs": 4, "teacher_recipe.epochs": 1}


def test_a_one_trial_policy_spends_a_budget_in_epochs_on_restarts(ray_running, cache, tmp_path):
    outcome = tune_kd.run(
        "stochastic", budget="28epochs", track="budget", settings=SMALL, store=tmp_path / "runs", cache=cache
    )
    run, trials, reports = (frame() for frame in (outcome.store.runs, outcome.store.trials, outcome.store.reports))
    assert run.status.item() == "completed"
    assert run.spent.item() == len(reports) == trials.epochs.sum()
    assert 28 <= run.spent.item() <= 28 + 1, "an epoch for each of the other trials that was running"
    assert run.overshoot.item() == run.spent.item() - 28
    assert set(trials.status) == {"completed", "stopped"} or (trials.status == "completed").all()
    assert (trials.status == "completed").sum() >= 6
    assert trials.seed.is_unique, "restarts are independent"
    assert trials.test_score.notna().all()


def test_a_target_that_is_reached_ends_a_run(ray_running, cache, tmp_path):
    outcome = tune_kd.run(
        "random",
        budget="20trials",
        track="target",
        target_accuracy=0.2,
        settings=SMALL,
        store=tmp_path / "runs",
        cache=cache,
    )
    run, trials = outcome.store.runs().iloc[0], outcome.store.trials()
    assert (run.status, run.track, run.target_accuracy) == ("completed", "target", 0.2)
    first = trials[trials.val_score >= 0.2].sort_values("ended_at").iloc[0]
    # One that a worker had been given by then may begin a little later; it is stopped at its first report.
    late = trials[trials.started_at > first.ended_at]
    assert len(late) <= 2, "no more than there are workers"
    assert (late.epochs <= 1).all()
    assert len(trials) == run.spent < 20
    assert set(trials.status) <= {"completed", "stopped"}


def test_early_stopping_leaves_the_epochs_that_it_saves_in_the_budget(ray_running, cache, tmp_path):
    plan = {"budget": "40epochs", "settings": SMALL, "cache": cache, "max_concurrent": 1}
    halving, random = (
        tune_kd.run(policy, store=tmp_path / name, **plan).store
        for name, policy in (("asha", "asha:reduction=2"), ("random", "random"))
    )
    trials, reports = halving.trials(), halving.reports()
    run = halving.runs().iloc[0]
    assert run.status == "completed"
    assert run.spent == len(reports) == trials.epochs.sum()
    assert (trials[trials.status == "stopped"].epochs < 4).all()
    assert (trials[trials.status == "completed"].epochs == 4).all()
    assert {"completed", "stopped"} <= set(trials.status)
    assert trials.test_score.notna().all(), "a trial that was stopped early is tested, too"
    assert len(trials) > len(random.trials()) == 10, "what is saved on the worse trials is spent on more of them"
    shared = len(random.trials())
    assert trials.tau[:shared].tolist() == random.trials().tau.tolist(), "the draws are those of random search"


def test_an_extended_study_is_the_study_that_had_all_replicates_from_the_start(ray_running, cache, tmp_path):
    plan = {"budget": "2trials", "settings": SMALL, "cache": cache, "max_concurrent": 1}
    whole = tune_kd.compare(["grid", "stochastic"], replicates=2, store=tmp_path / "whole", **plan).store
    first = tune_kd.compare(["grid", "stochastic"], replicates=1, store=tmp_path / "runs", **plan)
    before = first.store.trials()
    more = tune_kd.extend(first.study.study_id, replicates=2, store=tmp_path / "runs", cache=cache, max_concurrent=1)
    assert more.study.study_id == first.study.study_id
    assert len(more.statuses) == 2
    results = ["policy", "replicate", "index", "seed", "tau", "val_score", "test_score"]
    found, expected = (
        store.trials().merge(store.runs()[["run_id", "policy", "replicate"]])[results].sort_values(results[:3])
        for store in (more.store, whole)
    )
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True))
    assert set(before.trial_id) < set(more.store.trials().trial_id)


def test_a_budget_in_trials_equivalent_is_that_many_times_the_energy_of_one_measured_trial(
    ray_running, cache, tmp_path
):
    # Modelled energy grows with the machine's load: what trials share could take the whole of so small a budget.
    plan = {"budget": "2.5trials-equivalent", "track": "budget", "settings": SMALL, "share_teacher": False}
    plan |= {"cache": cache, "max_concurrent": 1}
    runs = [tune_kd.run("stochastic", store=tmp_path / "runs", **plan).store.runs() for _ in range(2)][-1]
    [kept] = (cache / "calibrations").iterdir()
    measured = json.loads(kept.read_text())["calibration"]
    assert kept.name.startswith(runs.scenario_sha256[0])
    assert (measured["tau"], measured["epochs"]) == (11, 4)
    assert set(runs.budget_currency) == {"joules"}
    assert set(runs.budget_text) == {"2.5trials-equivalent"}
    assert runs.budget_limit.tolist() == [2.5 * measured["energy_j"]] * 2, "it is measured once"
    assert (runs.spent - runs.overshoot <= runs.budget_limit).all()
    trials = tune_kd.open_store(tmp_path / "runs").trials()
    assert runs.spent.sum() == pytest.approx(trials.energy_j.sum(), rel=1e-9)
    assert not [folder for folder in (cache / "checkpoints").iterdir() if "calibration" in folder.name]
