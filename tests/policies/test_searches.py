"""The searches that model their trials: what they find, what they learn from, and that a resumed one knows as much."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from ray.tune.search import Searcher
from run_events import report
from scipy.integrate import quad
from scipy.stats import norm
from tune_simulator import Simulator, kept

from policies.improvement import Observed, Process, costs, expected_improvement
from search_spaces import SPACES, Dimension, Space
from tune_kd.config.catalogue import make_policy
from tune_kd.history.run_history import KnownTrial, history_of
from tune_kd.planning.plan import plan_study

MODELLED = ["tpe", "gp", "cost-aware", "hyperband-tpe"]
TAU = SPACES["tau"]
REAL = Space(name="real", dimensions={"tau": Dimension(low=0.5, high=8)})

Params = Mapping[str, float]
modelled = pytest.mark.parametrize("label", MODELLED)


def hill(params: Params) -> float:
    """An accuracy with its top at τ = 6."""
    return 0.9 - (params["tau"] - 6) ** 2 / 400


def twins(params: Params) -> float:
    """Two tops, equally high, at τ = 5 and τ = 17."""
    return 0.9 - min((params["tau"] - 5) ** 2, (params["tau"] - 17) ** 2) / 100


def result(accuracy: float, joules: float | None = 10.0, flops: float = 1e9) -> dict[str, Any]:
    return {"val_score": accuracy, "energy_j": joules, "flops_executed": flops, "training_iteration": 1}


def search(
    searcher: Searcher, count: int, told: Callable[[Params], dict[str, Any]] = lambda params: result(hill(params))
) -> list[dict[str, float]]:
    """The suggestions where each trial ends before the next."""
    found: list[dict[str, float]] = []
    for index in range(count):
        params = searcher.suggest(f"trial-{index}")
        assert isinstance(params, dict)
        found.append(params)
        searcher.on_trial_complete(f"trial-{index}", result=told(params))
    return found


def trials_to_the_top(label: str, seed: int, most: int = 30) -> int:
    searcher = make_policy(label).searcher(TAU, seed)
    for index in range(most):
        params = searcher.suggest(f"trial-{index}")
        if params["tau"] == 6:
            return index
        searcher.on_trial_complete(f"trial-{index}", result=result(hill(params)))
    return most


@pytest.mark.parametrize("label", ["gp:startup=4", "cost-aware"])
def test_a_model_finds_the_top_of_a_smooth_function_in_fewer_trials_than_random_search(label: str) -> None:
    by_chance = fmean(trials_to_the_top("random", seed, most=100) for seed in range(200))
    assert by_chance == pytest.approx(len(TAU.tau.levels()) - 1, abs=4), "a geometric distribution"
    assert fmean(trials_to_the_top(label, seed) for seed in range(5)) < 0.6 * by_chance


@modelled
@pytest.mark.parametrize("space", [SPACES["tau-alpha"], REAL], ids=lambda space: space.name)
def test_every_suggestion_lies_in_the_space(label: str, space: Space) -> None:
    for params in search(make_policy(f"{label}:startup=4").searcher(space, 0), 14):
        assert params.keys() == space.dimensions.keys()
        for name, value in params.items():
            side = space.dimensions[name]
            assert side.low <= value <= side.high
            assert side.step is None or min(abs(value - level) for level in side.levels()) < 1e-9


@modelled
def test_results_count_after_the_start_and_not_before(label: str) -> None:
    policy = make_policy(f"{label}:startup=4:lag=1")
    good, bad = (
        search(policy.searcher(TAU, 3), 14, lambda params, top=top: result(-abs(params["tau"] - top)))
        for top in (4, 18)
    )
    assert good[:4] == bad[:4]
    assert good[4:] != bad[4:]


@modelled
def test_suggestions_are_the_same_whichever_trial_ends_first(label: str) -> None:
    policy = make_policy(f"{label}:startup=3")
    expected = search(policy.searcher(TAU, 5), 12)
    searcher, order = policy.searcher(TAU, 5), random.Random(1)
    found: list[dict[str, float]] = []
    running: dict[str, dict[str, float]] = {}
    while len(found) < len(expected):
        params = searcher.suggest(f"trial-{len(found)}") if len(running) < 4 else None
        if isinstance(params, dict):
            running[f"trial-{len(found)}"] = params
            found.append(params)
        else:
            ended = order.choice(sorted(running))
            searcher.on_trial_complete(ended, result=result(hill(running.pop(ended))))
    assert found == expected


@modelled
def test_a_trial_that_failed_teaches_nothing_and_stops_nothing(label: str) -> None:
    searcher = make_policy(f"{label}:startup=2").searcher(TAU, 0)
    for index in range(12):
        params = searcher.suggest(f"trial-{index}")
        assert isinstance(params, dict)
        if index % 3:
            searcher.on_trial_complete(f"trial-{index}", result=result(hill(params)))
        else:
            searcher.on_trial_complete(f"trial-{index}", error=True)


# Cost


def test_the_start_of_cost_aware_is_random_search() -> None:
    first, second = (search(make_policy(label).searcher(TAU, 8), 5) for label in ("cost-aware", "random"))
    assert first == second


@pytest.mark.parametrize("measured", [True, False], ids=["joules", "FLOPs"])
def test_of_two_equally_good_regions_the_cheaper_is_tried_more(measured: bool) -> None:
    def told(params: Params) -> dict[str, Any]:
        cost = 8.0 if params["tau"] > 11 else 1.0
        # What is not the currency is the other way round: it must not matter.
        return result(twins(params), cost, 1e9 / cost) if measured else result(twins(params), None, 1e9 * cost)

    later = [
        p["tau"] for seed in range(4) for p in search(make_policy("cost-aware").searcher(TAU, seed), 24, told)[12:]
    ]
    assert sum(tau < 11 for tau in later) > 0.75 * len(later)


def test_without_a_difference_in_cost_neither_region_is_favoured_by_it() -> None:
    policy = make_policy("cost-aware")
    cheap, dear = (
        search(policy.searcher(TAU, 2), 16, lambda params, cost=cost: result(twins(params), cost)) for cost in (1, 1e6)
    )
    assert cheap == dear


def test_the_currency_is_joules_where_every_trial_has_them() -> None:
    seen = [Observed({"tau": tau}, 0.9, joules=tau, flops=100.0) for tau in (2.0, 3.0)]
    assert costs(seen).tolist() == [2.0, 3.0]
    assert costs([*seen, Observed({"tau": 4.0}, 0.9, joules=None, flops=50.0)]).tolist() == [100.0, 100.0, 50.0]
    assert costs([Observed.of({"tau": 4.0}, {"val_score": 0.9})]).tolist() == [1.0]


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.3, 0.2, 0.4), (-1.0, 0.5, 0.0), (2.0, 1.0, 1.0)])
def test_the_expected_improvement_is_the_integral_that_it_stands_for(
    mean: float, deviation: float, best: float
) -> None:
    expected, _ = quad(lambda f: (f - best) * norm.pdf(f, mean, deviation), best, mean + 12 * deviation)
    found = expected_improvement(np.array([mean]), np.array([deviation]), best)
    assert found.item() == pytest.approx(expected, rel=1e-6)
    sure = expected_improvement(np.array([mean]), np.array([0.0]), best)
    assert sure.item() == max(mean - best, 0)


def test_a_process_passes_near_its_values_and_doubts_less_where_it_has_or_believes_one() -> None:
    x = np.linspace(0, 0.6, 8)[:, None]
    process = Process(x, np.sin(4 * x[:, 0]))
    assert np.abs(process.mean(x) - np.sin(4 * x[:, 0])).max() < 0.05
    far = np.array([[1.0]])
    before, expected = process.deviation(far), process.mean(far)
    assert before > 2 * process.deviation(x).max()
    process.believe(far)
    assert process.deviation(far) < 0.8 * before
    assert process.mean(far) == pytest.approx(expected, abs=0.05)


# What a searcher hears


def test_a_result_is_of_the_weights_handed_in_and_of_all_attempts() -> None:
    trial = KnownTrial(trial_id="t", index=0, params={"tau": 4.0})
    assert trial.result is None
    trial.last[0] = replace(report("t", 0, 2, 30.0), val_score=0.7)
    assert trial.result == {"val_score": 0.7, "energy_j": 30.0, "flops_executed": 30.0}
    trial.last[1] = replace(report("t", 1, 4, 12.0), val_score=0.6, checkpoint_val_score=0.8)
    assert trial.result == {"val_score": 0.8, "energy_j": 42.0, "flops_executed": 42.0}
    trial.last[2] = replace(report("t", 2, 5, 1.0), energy_j=None)
    assert trial.result == {"val_score": 0.5, "energy_j": None, "flops_executed": 43.0}


@pytest.mark.parametrize("label", ["cost-aware", "gp:startup=4"])
def test_a_resumed_search_has_heard_to_the_last_joule_what_it_would_have_heard(label: str, tmp_path: Path) -> None:
    plan = plan_study(policies=[label], budget="16trials", settings={"recipe.epochs": 3}).runs[0]
    first = Simulator(plan=plan, workers=2, seed=11, crashes=0.15)
    first.run(most=34)
    history = history_of(kept(first, tmp_path / "runs"), plan.run_id)
    live = {trial.trial_id: trial.result for job in first.trials._trials.values() for trial in job}
    assert {trial.trial_id: trial.result for trial in history.trials} == live
    assert len(history.trials) > 10, "the model was asked"
    second = Simulator(plan=plan, workers=2, seed=12, history=history)  # replays: it would raise at another suggestion
    second.run()
    assert second.ledger.spent == 16
