"""The schema: its columns, its document, and the rows it takes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from store_records import run_row

from tune_kd.errors import StoreError
from tune_kd.store.columns import TABLES
from tune_kd.store.schema import SCHEMAS, document, to_table

# The contract with analysis and with users' scripts: none of these may go, or change its name.
CONTRACT = {
    "runs": """study scenario scenario_json policy policy_json policy_sha256 space replicate seed track budget_currency
        budget_limit spent overshoot teacher_id teacher_energy_j teacher_flops shared_energy_j split_sha256 code_version
        code_revision code_dirty started_at ended_at status study_id teacher_val_score teacher_test_score
        shared_flops shared_s shared_co2e_g equivalence_margin skipped_images left_out_json""",
    "trials": """trial_id attempt index params_json tau alpha seed status error node_id started_at ended_at epochs
        val_score test_score precision_macro recall_macro specificity_macro f1_macro kappa prevalence confusion
        per_class inference_s inference_energy_j inference_co2e_g val_loss flops_executed flops_teacher flops_forward
        flops_backward flops_eval flops_paper flops_uncounted_ops energy_j energy_cpu_j energy_gpu_j energy_ram_j
        energy_idle_j energy_test_j energy_method co2e_g pue carbon_g_per_kwh carbon_source carbon_region carbon_year
        duration_s train_s eval_s teacher_s other_s peak_memory_bytes co_tenants""",
    "reports": """trial_id attempt epoch at energy_j flops_executed co2e_g train_s eval_s train_loss val_loss
        val_score lr tau_mean tau_min tau_max""",
    "nodes": """node_id cpu_model cpus ram_bytes gpu_model gpus gpu_driver power_limit_w mig os python torch torchvision
        ray optuna codecarbon meter_method_cpu meter_method_gpu meter_method_ram meter_params_json energy_total_j
        energy_trials_j energy_other_j energy_idle_j energy_residual_j samples longest_gap_s coverage""",
}


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_the_columns_of_the_contract(table: str) -> None:
    assert {"schema_version", "run_id", *CONTRACT[table].split()} <= set(SCHEMAS[table].names)


@pytest.mark.parametrize("table", TABLES)
def test_every_field_carries_its_unit_and_meaning(table: str) -> None:
    for field, column in zip(SCHEMAS[table], TABLES[table], strict=True):
        assert field.metadata == {b"unit": column.unit.encode(), b"meaning": column.meaning.encode()}
        assert column.meaning


@pytest.mark.parametrize("table", TABLES)
def test_units_agree_with_the_names(table: str) -> None:
    units = {"_j": "J", "_s": "s", "_bytes": "bytes", "_w": "W", "_g": "g CO2e", "_accuracy": "fraction"}
    for column in TABLES[table]:
        for suffix, unit in units.items():
            if column.name.endswith(suffix):
                assert column.unit == unit, column.name


def test_the_document_is_current() -> None:
    written = Path(__file__).parents[2] / "docs" / "schema.md"
    assert written.read_text() == document(), "run: python -m tune_kd.store.schema > docs/schema.md"


def test_times_are_utc_microseconds_and_ids_are_strings() -> None:
    assert SCHEMAS["trials"].field("started_at").type == pa.timestamp("us", tz="UTC")
    assert all(SCHEMAS[table].field("run_id").type == pa.string() for table in TABLES)


def test_columns_left_out_are_null_with_their_type() -> None:
    table = to_table("runs", [run_row("r")])
    assert table.schema.equals(SCHEMAS["runs"])
    assert table["spent"].to_pylist() == [None]


def test_an_unknown_column_is_refused_with_the_nearest() -> None:
    with pytest.raises(StoreError, match=r"runs has no column 'polcy'; did you mean 'policy'\?"):
        to_table("runs", [run_row("r", polcy="grid")])


def test_a_required_column_must_not_be_null() -> None:
    with pytest.raises(StoreError, match=r"runs\.policy must not be null"):
        to_table("runs", [run_row("r", policy=None)])


def test_a_value_of_another_type_is_refused_by_its_column() -> None:
    with pytest.raises(StoreError, match=r"runs\.seed must be int"):
        to_table("runs", [run_row("r", seed="seven")])


def test_an_unknown_status_is_refused_with_the_choices() -> None:
    with pytest.raises(StoreError, match=r"runs\.status must be one of planned, .*, got 'done'"):
        to_table("runs", [run_row("r", status="done")])


def test_flops_beyond_what_a_double_counts_exactly_are_kept_to_their_precision() -> None:
    flops = 3 * 10**18 + 1
    assert to_table("runs", [run_row("r", teacher_flops=flops)])["teacher_flops"].to_pylist() == [float(flops)]
