"""A run's row of the store at every step of the run, from its plan to its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from store_records import write_trial

from tune_kd.budget.cost import Cost
from tune_kd.budget.ledger import Ledger
from tune_kd.cluster.session import Resources
from tune_kd.data import ImageData
from tune_kd.errors import InputError
from tune_kd.history.records import NodeRows, RunRow, plan_rows, run_row
from tune_kd.meter.carbon import Carbon
from tune_kd.planning.plan import RunPlan, plan_study
from tune_kd.store import Store, create_store
from tune_kd.training.teacher import Teacher

CARBON = Carbon(intensity_g_per_kwh=360.0, source="chosen for the tests", pue=2.0)
TEACHER = Teacher(
    teacher_id="t",
    weights={},
    val_score=0.9,
    test_score=0.8,
    flops=7,
    energy_j=1e6,
    energy_method="model",
    duration_s=3.0,
    test_metrics={"recall_macro": 0.75, "kappa": 0.7},
)
COST = Cost(flops=5, duration_s=2.0, energy_j=None, co2e_g=None)


@pytest.fixture
def run(digits: ImageData, tmp_path: Path) -> tuple[RunPlan, RunRow, Store]:
    study, store = plan_study(policies=["grid"], budget="5trials"), create_store(tmp_path / "runs")
    [row] = plan_rows(study, digits, store).values()
    return study.runs[0], row, store


def test_each_step_is_in_the_store_at_once(run: tuple[RunPlan, RunRow, Store]) -> None:
    plan, row, store = run

    def stored(*names: str) -> list[object]:
        columns = run_row(store, plan.run_id).columns
        return [columns[name] for name in names]

    assert stored("status", "started_at", "teacher_id", "shared_flops", "spent") == ["planned", None, None, None, None]
    row.start(store, TEACHER, Resources(cpus=2, gpus=0), CARBON)
    assert stored("status", "cpus_per_trial", "teacher_id", "teacher_flops") == ["running", 2, "t", 7]
    assert stored("teacher_co2e_g") == [200.0], "1 MJ is 1/3.6 kWh, twice that with the PUE"
    assert stored("teacher_test_metrics_json") == ['{"kappa": 0.7, "recall_macro": 0.75}']
    row.share(store, COST)
    assert stored("shared_flops", "shared_s", "shared_energy_j") == [5, 2.0, None]
    ledger = Ledger(budget=plan.budget)
    ledger.reserve("a")
    row.end(store, ledger, "failed", "no trial ended well", None)
    assert stored("status", "error", "spent", "overshoot") == ["failed", "no trial ended well", 1, 0]
    assert stored("shared_flops", "teacher_id") == [5, "t"], "what earlier steps wrote stays"


@pytest.mark.parametrize("figures", [None, {}], ids=["kept by an earlier version", "of detection"])
def test_a_teacher_without_other_figures_has_none_recorded(
    figures: dict[str, float] | None, run: tuple[RunPlan, RunRow, Store]
) -> None:
    plan, row, store = run
    row.start(store, replace(TEACHER, test_metrics=figures), Resources(cpus=2, gpus=0), CARBON)
    assert run_row(store, plan.run_id).columns["teacher_test_metrics_json"] is None


def test_a_resumed_run_keeps_its_start_and_what_it_was_charged(run: tuple[RunPlan, RunRow, Store]) -> None:
    plan, row, store = run
    row.start(store, None, Resources(cpus=1, gpus=0), CARBON)
    row.share(store, COST)
    row.end(store, Ledger(budget=plan.budget), "stopped", "interrupted", None)
    resumed = run_row(store, plan.run_id)
    assert (resumed.plan(), resumed.shared_cost) == (plan, COST)
    resumed.start(store, None, Resources(cpus=1, gpus=0), CARBON)
    again = run_row(store, plan.run_id).columns
    assert again["started_at"] == row.columns["started_at"]
    assert (again["status"], again["ended_at"], again["error"], again["teacher_id"]) == ("running", None, None, None)


def test_what_its_records_charge_beyond_its_nodes_is_marked(run: tuple[RunPlan, RunRow, Store]) -> None:
    plan, row, store = run
    write_trial(store, plan.run_id, 0)  # 30 J, and 0.3 J of its test
    row.start(store, None, Resources(cpus=1, gpus=0), CARBON)
    row.share(store, replace(COST, energy_j=4.0, co2e_g=1.0))
    for metered_j, unmatched_j in ((34.3, 0.0), (4.3, 30.0), (None, None)):
        row.end(store, Ledger(budget=plan.budget), "completed", None, metered_j)
        found = run_row(store, plan.run_id).columns["energy_unmatched_j"]
        assert found == (None if unmatched_j is None else pytest.approx(unmatched_j))


def test_a_node_of_a_driver_that_was_killed_has_counted_nothing_that_is_known(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store")
    NodeRows(store, "r", new=True).write([{"node_id": "killed", "cpus": 2}])
    resumed = NodeRows(store, "r")
    counted = {"energy_trials_j": 4.0, "samples": 3, "coverage": 1.0}
    resumed.write([{"node_id": "now", "cpus": 2, **counted}])
    assert resumed.metered_j == 4.0
    assert set(store.nodes().node_id) == {"killed", "now"}
    resumed.write([{"node_id": "now", "cpus": 2}])
    assert resumed.metered_j is None


def test_a_run_that_shares_nothing_has_no_cost_of_it(run: tuple[RunPlan, RunRow, Store]) -> None:
    plan, row, store = run
    row.share(store, Cost())
    assert run_row(store, plan.run_id).shared_cost is None


def test_a_run_that_is_not_there_is_answered_with_the_nearest(run: tuple[RunPlan, RunRow, Store]) -> None:
    plan, _, store = run
    with pytest.raises(InputError, match=f"did you mean '{plan.run_id}'"):
        run_row(store, plan.run_id + "0")
