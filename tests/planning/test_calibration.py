"""A budget in trials' equivalents becomes joules, the same for every policy; what it rests on is found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from search_spaces import SPACES, Dimension, Space
from tune_kd.budget.amount import Budget
from tune_kd.planning import calibration
from tune_kd.planning.calibration import Calibration, calibration_path, middle_tau
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study, plan_study

MEASURED = Calibration(tau=11, epochs=4, energy_j=50.0, energy_method="model", duration_s=3.0, flops=1e9)


def study_of(budget: str = "20trials-equivalent", **asked: object) -> Study:
    return plan_study(policies=["grid", "stochastic"], budget=budget, track="budget", **asked)


def test_a_budget_in_equivalents_becomes_joules_and_keeps_its_text() -> None:
    study = study_of()
    assert study.needs_calibration
    calibrated = study.calibrated(50.0)
    assert not calibrated.needs_calibration
    assert {plan.budget for plan in calibrated.runs} == {Budget(currency="joules", limit=1000.0)}
    assert {plan.budget_text for plan in calibrated.runs} == {"20trials-equivalent"}
    assert not study_of("20trials").needs_calibration


@pytest.mark.parametrize(
    ("dimension", "tau"),
    [
        (SPACES["tau"].tau, 11),
        (Dimension(low=1, high=4, step=1), 3),
        (Dimension(low=1, high=4), 2.5),
        (Dimension(low=4, high=4, step=1), 4),
    ],
)
def test_the_trial_that_is_measured_is_in_the_middle_of_the_space(dimension: Dimension, tau: float) -> None:
    assert middle_tau(Space(name="space", dimensions={"tau": dimension})) == tau


def test_what_was_measured_is_found_for_the_same_scenario_and_hardware_only(tmp_path: Path) -> None:
    here = Execution(cache=tmp_path)
    assert calibration.kept(study_of(), here) is None
    calibration.keep(MEASURED, study_of(), here, "split")
    assert calibration.kept(study_of(budget="3trials-equivalent"), here) == MEASURED
    others = [
        (study_of(settings={"recipe.epochs": 3}), here),
        (study_of(), Execution(cache=tmp_path, cpus_per_trial=2)),
        (study_of(), Execution(cache=tmp_path, cpu_watts=50)),
        (study_of(), Execution(cache=tmp_path / "elsewhere")),
    ]
    assert [calibration.kept(study, execution) for study, execution in others] == [None] * 4
    assert len({calibration_path(study, execution) for study, execution in others}) == 4


def test_it_is_measured_again_where_the_same_folder_holds_other_data(tmp_path: Path) -> None:
    here = Execution(cache=tmp_path)
    calibration.keep(MEASURED, study_of(), here, "split of then")
    assert calibration.kept(study_of(), here, "split of then") == MEASURED
    assert calibration.kept(study_of(), here, "split of now") is None


def test_it_is_the_basis_of_a_forecast() -> None:
    execution = Execution()
    cost = MEASURED.cost(execution)
    assert (cost.trials, cost.epochs, cost.energy_j, cost.flops) == (1, 4, 50.0, 1e9)
    assert cost.co2e_g == execution.carbon.co2e_g(50.0)
    assert "τ = 11" in cost.source
