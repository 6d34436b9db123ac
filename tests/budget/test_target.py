"""The target track: a run stops once a trial that has ended reached the accuracy, and not before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from run_events import ended, report
from tune_simulator import Simulator, kept

from policies import POLICIES
from tune_kd.budget.target_track import Target
from tune_kd.events import EpochReport, TrialStarted
from tune_kd.history.run_history import history_of
from tune_kd.planning.plan import RunPlan, plan_study

ACCURACY = 0.8


def plan_of(policy: str, accuracy: float = ACCURACY, budget: str = "200epochs") -> RunPlan:
    settings = {"recipe.epochs": 4}
    study = plan_study(
        policies=[policy], budget=budget, track="target", target_accuracy=accuracy, settings=settings, space="tau"
    )
    return study.runs[0]


def test_a_report_above_the_target_counts_when_its_trial_ends() -> None:
    target = Target(accuracy=0.5)
    target(report("a", 0, 1, 1))
    assert not target.reached
    target(ended("a", 0))
    assert target.reached_by == "a"


def test_what_counts_is_the_checkpoint_that_is_handed_in() -> None:
    target = Target(accuracy=0.9)
    target(replace(report("a", 0, 1, 1), val_score=0.95))
    target(replace(report("a", 0, 2, 2), val_score=0.7))  # the last epoch is handed in
    target(ended("a", 0))
    assert not target.reached
    target(replace(report("b", 0, 1, 1), val_score=0.95))
    target(ended("b", 0, "failed"))
    assert not target.reached, "a failed attempt hands in nothing"
    # The retry goes on at epoch 2, and the best epoch is that of the attempt before.
    target(replace(report("b", 1, 2, 1), val_score=0.7, checkpoint_epoch=1, checkpoint_val_score=0.95))
    target(ended("b", 1))
    assert target.reached_by == "b"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_ends_its_running_trials_and_starts_none_once_the_target_is_reached(policy: str, workers: int) -> None:
    run = Simulator(plan=plan_of(policy), workers=workers, seed=1)
    run.run()
    winner = run.ledger.target.reached_by
    assert winner is not None
    [end] = [place for place, event in enumerate(run.events) if event == run.end_of(winner)]
    after = run.events[end + 1 :]
    assert not [event for event in after if isinstance(event, TrialStarted)]
    late = [event.trial_id for event in after if isinstance(event, EpochReport)]
    assert len(late) == len(set(late)) < workers, "each of the others sees its epoch to the end, and no more"
    assert set(run.statuses.values()) <= {"completed", "stopped"}
    assert run.ledger.spent < run.plan.budget.limit


@pytest.mark.parametrize("budget", ["6trials", "30epochs"])
def test_a_run_that_misses_its_target_is_censored_at_the_budget(budget: str) -> None:
    run = Simulator(plan=plan_of("random", 1.0, budget), workers=2, seed=1)
    run.run()
    assert not run.ledger.reached
    assert run.ledger.spent >= run.plan.budget.limit


def test_a_resumed_run_knows_that_its_target_was_reached(tmp_path: Path) -> None:
    plan = plan_of("random")
    first = Simulator(plan=plan, workers=1, seed=1)
    first.run()
    again = Simulator(plan=plan, history=history_of(kept(first, tmp_path / "runs"), plan.run_id))
    assert again.ledger.reached
    again.run()
    assert not again.events
