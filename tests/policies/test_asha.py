"""Early stopping: which trials go on, what that saves, and that a resumed run remembers whom it judged by."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.tune.search import Searcher
from tune_simulator import Simulator, kept

from search_spaces import SPACES
from tune_kd.config.catalogue import make_policy
from tune_kd.events import EpochReport
from tune_kd.history.run_history import history_of
from tune_kd.planning.plan import RunPlan, plan_study

EPOCHS = 8


def plan_of(label: str, budget: str = "24trials") -> RunPlan:
    return plan_study(policies=[label], budget=budget, settings={"recipe.epochs": EPOCHS}).runs[0]


def epochs_of(run: Simulator) -> dict[str, int]:
    """How far each trial got."""
    return {event.trial_id: event.epoch for event in run.of(EpochReport)}


def test_it_draws_what_random_search_draws() -> None:
    space = SPACES["tau-alpha"]
    searchers: list[Searcher] = [make_policy(name).searcher(space, 5) for name in ("asha", "random")]
    first, second = ([searcher.suggest(f"trial-{i}") for i in range(20)] for searcher in searchers)
    assert first == second


@pytest.mark.parametrize(("grace", "reduction"), [(1, 2), (2, 2), (1, 4), (3, 2)])
def test_trials_are_stopped_at_the_rungs_and_the_epochs_saved_are_not_charged(grace: int, reduction: int) -> None:
    run = Simulator(plan=plan_of(f"asha:grace={grace}:reduction={reduction}"), seed=1)
    run.run()
    rungs = {grace * reduction**rung for rung in range(4)}
    epochs = epochs_of(run)
    assert {epoch for trial_id, epoch in epochs.items() if run.statuses[trial_id] == "stopped"} <= rungs
    assert {epoch for trial_id, epoch in epochs.items() if run.statuses[trial_id] == "completed"} == {EPOCHS}
    assert set(run.statuses.values()) == {"completed", "stopped"}
    assert sum(epochs.values()) < 24 * EPOCHS


def test_a_trial_goes_on_where_it_is_among_the_best_so_far() -> None:
    run = Simulator(plan=plan_of("asha:reduction=2"), seed=1)
    run.run()
    seen: list[float] = []
    for first in (event for event in run.of(EpochReport) if event.epoch == 1):
        median = sorted(seen)[len(seen) // 2] if len(seen) % 2 else None
        if median is not None:
            assert (epochs_of(run)[first.trial_id] > 1) == (first.val_score >= median)
        seen.append(first.val_score)


def test_a_resumed_run_judges_by_the_trials_of_its_past(tmp_path: Path) -> None:
    plan = plan_of("asha:reduction=2")
    whole = Simulator(plan=plan, seed=1)
    whole.run()
    until = sum(epoch for trial_id, epoch in epochs_of(whole).items() if trial_id < f"{plan.run_id}-0010")
    first = Simulator(plan=plan, seed=1)
    first.run(most=until)
    assert not first.running, "ten trials have ended"
    second = Simulator(plan=plan, seed=2, history=history_of(kept(first, tmp_path / "runs"), plan.run_id))
    second.run()
    assert {**epochs_of(first), **epochs_of(second)} == epochs_of(whole)
