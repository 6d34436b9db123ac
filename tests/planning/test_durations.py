"""How long a study will take about: said where the same scenario ran here before, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_records import report

from tune_kd.planning.durations import how_long, keep
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study, plan_study
from tune_kd.planning.plan_options import Planning
from tune_kd.progress.timed import Timed


def planned(budget: str = "5trials", **changes: Any) -> Study:
    return plan_study(
        policies=["random", "stochastic"], planning=Planning(budget=budget, epochs=4, **{"track": "budget", **changes})
    )


def test_it_is_the_epochs_that_are_planned_at_the_pace_of_the_last_study(tmp_path: Path) -> None:
    execution = Execution(cache=tmp_path)
    assert how_long(planned(), execution) is None
    assert list(tmp_path.iterdir()) == []
    keep(planned(), execution, seconds=30.0, epochs=20)
    # Ten trials of 4 epochs, of 1.5 s each; three replicates are three times as many.
    assert (how_long(planned(), execution) or "").startswith("trials will take about 1 min 00 s")
    assert (how_long(planned(replicates=3), execution) or "").startswith("trials will take about 3 min 00 s")
    assert (how_long(planned("20epochs"), execution) or "").startswith("trials will take about 1 min 00 s")
    # By its recipe a policy that moves τ within a trial has one.
    assert (how_long(planned(track="recipe"), execution) or "").startswith("trials will take about 36 s")


@pytest.mark.parametrize("budget", ["50Wh", "1h"])
def test_nothing_is_said_of_a_budget_whose_trials_nobody_can_count(budget: str, tmp_path: Path) -> None:
    keep(planned(), Execution(cache=tmp_path), seconds=30.0, epochs=20)
    assert how_long(planned(budget), Execution(cache=tmp_path)) is None


def test_nothing_is_said_of_another_scenario_or_of_more_trials_at_a_time(tmp_path: Path) -> None:
    keep(planned(), Execution(cache=tmp_path), seconds=30.0, epochs=20)
    assert how_long(planned(train_limit=100), Execution(cache=tmp_path)) is None
    assert how_long(planned(), Execution(cache=tmp_path, max_concurrent=1)) is None


def test_a_study_is_timed_from_its_first_epoch_to_its_last(tmp_path: Path) -> None:
    # The clock is read at the end of each epoch: 21 of them are 20 from the first to the last, in 30 s.
    clock = iter([100.0 + 1.5 * epoch for epoch in range(21)])
    study, execution = planned(), Execution(cache=tmp_path)
    timed = Timed(study, execution, lambda: next(clock))
    for number in range(21):
        timed.event(report(study.runs[number % 2], number // 4, 1 + number % 4))
    timed.close()
    assert (how_long(study, execution) or "").startswith("trials will take about 1 min 00 s")


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_study_without_a_second_epoch_leaves_nothing(epochs: int, tmp_path: Path) -> None:
    timed = Timed(planned(), Execution(cache=tmp_path))
    for epoch in range(epochs):
        timed.event(report(planned().runs[0], 0, epoch + 1))
    timed.close()
    assert list(tmp_path.iterdir()) == []
