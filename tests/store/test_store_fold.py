"""The fold: from an attempt's events to its rows, and nothing on the way is lost."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_records import at, ended, examined, report, started, trial_events

from tune_kd.errors import StoreError
from tune_kd.events import EpochReport, TrialEnded, TrialMetered, TrialStarted, TrialTested
from tune_kd.store.columns import SPENT, TABLES
from tune_kd.store.writing.fold import fold


def test_a_whole_attempt_becomes_one_row_and_its_reports() -> None:
    trial, reports = fold(trial_events("r", 3, epochs=4))
    assert (trial["trial_id"], trial["attempt"], trial["index"], trial["epochs"]) == ("r-0003", 0, 3, 4)
    assert (trial["status"], trial["error"], trial["params_json"]) == ("completed", None, '{"tau": 4}')
    assert (trial["started_at"], trial["ended_at"], trial["tested_at"]) == (at(3), at(53), at(63))
    assert (trial["test_score"], trial["energy_test_j"], trial["confusion"]) == (0.875, 0.3, [[3, 1], [0, 4]])
    assert [row["epoch"] for row in reports] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("kind", "table", "elsewhere"),
    [
        (TrialStarted, "trials", {"at": "started_at", "params": "params_json"}),
        (EpochReport, "reports", {}),
        (TrialEnded, "trials", {"at": "ended_at"}),
        (TrialMetered, "trials", {"at": "ended_at"}),
        (TrialTested, "trials", {"at": "tested_at"}),
    ],
)
def test_every_field_of_every_event_has_its_column(kind: type, table: str, elsewhere: dict[str, str]) -> None:
    fields = {elsewhere.get(field.name, field.name) for field in dataclasses.fields(kind)}
    assert fields <= {column.name for column in TABLES[table]}


@given(epochs=st.integers(1, 30), energy_j=st.floats(0, 1e9), flops=st.integers(0, 2**62))
def test_costs_are_those_of_the_last_report(epochs: int, energy_j: float, flops: int) -> None:
    last = report("r", 0, epochs, energy_j=energy_j, flops_executed=flops)
    trial, _ = fold([started("r", 0), *(report("r", 0, epoch) for epoch in range(1, epochs)), last, ended("r", 0)])
    for column in SPENT:
        assert trial[column.name] == getattr(last, column.name)


@given(epochs=st.integers(1, 20), data=st.data())
def test_validation_figures_are_those_of_the_checkpoint(epochs: int, data: st.DataObject) -> None:
    chosen = data.draw(st.integers(1, epochs))
    reports = [report("r", 0, epoch, checkpoint_epoch=min(epoch, chosen)) for epoch in range(1, epochs + 1)]
    trial, _ = fold([started("r", 0), *reports])
    assert trial["checkpoint_epoch"] == chosen
    assert (trial["val_score"], trial["val_loss"]) == (
        reports[chosen - 1].val_score,
        reports[chosen - 1].val_loss,
    )


@given(epochs=st.integers(1, 10), data=st.data())
def test_a_report_that_comes_twice_counts_once(epochs: int, data: st.DataObject) -> None:
    reports = [report("r", 0, epoch) for epoch in range(1, epochs + 1)]
    again = data.draw(st.lists(st.sampled_from(reports)))
    assert fold([started("r", 0), *reports, *again]).reports == fold([started("r", 0), *reports]).reports


def test_the_closed_account_of_energy_stands_over_the_last_report() -> None:
    energy = {"energy_j": 25.0, "energy_cpu_j": 20.0, "energy_gpu_j": None, "energy_ram_j": 5.0, "energy_idle_j": 1.0}
    key = {"run_id": "r", "trial_id": "r-0000", "attempt": 0}
    closed = TrialMetered(**key, **energy, at=at(60), energy_method="model", co2e_g=2.5, co_tenants=2)  # type: ignore[arg-type]
    trial, reports = fold([started("r", 0), report("r", 0, 1), report("r", 0, 2), ended("r", 0), closed])
    assert {name: trial[name] for name in energy} == energy
    assert (trial["co2e_g"], trial["co_tenants"], trial["flops_executed"]) == (2.5, 2, 1200)
    assert trial["ended_at"] == at(50)
    assert reports[-1]["energy_j"] == 20.0


def test_an_attempt_without_an_end_is_lost_with_its_cost() -> None:
    trial, reports = fold([started("r", 0), report("r", 0, 1), report("r", 0, 2)])
    assert (trial["status"], trial["energy_j"], trial["co2e_g"], len(reports)) == ("lost", 20.0, 2.0, 2)
    assert trial["ended_at"] == at(2)  # its last sign of life
    assert trial["error"]


def test_an_attempt_that_died_before_its_first_report_has_no_costs_rather_than_zero() -> None:
    trial, reports = fold([started("r", 0), ended("r", 0, status="failed", error="out of memory")])
    assert (trial["status"], trial["error"], trial["epochs"], reports) == ("failed", "out of memory", 0, [])
    assert trial.get("energy_j") is None
    assert trial.get("flops_executed") is None


def test_a_resumed_attempt_may_have_chosen_an_epoch_of_the_one_before() -> None:
    chosen = {"checkpoint_epoch": 4, "checkpoint_val_score": 0.9, "checkpoint_val_loss": 0.25}
    trial, _ = fold([started("r", 0, attempt=1), report("r", 0, 6, attempt=1, **chosen)])
    assert (trial["checkpoint_epoch"], trial["epochs"]) == (4, 1), "epochs are those of this attempt"
    assert (trial["val_score"], trial["val_loss"]) == (0.9, 0.25)


def test_what_was_not_tested_has_no_test_figures() -> None:
    trial, _ = fold([started("r", 0), report("r", 0, 1), ended("r", 0)])
    assert trial.get("test_score") is None


def test_events_without_a_start_are_refused() -> None:
    with pytest.raises(StoreError, match="no TrialStarted"):
        fold([examined("r", 0)])
