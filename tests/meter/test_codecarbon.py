"""codecarbon: its file, which its users' tools read, and its own tracker as a cross-check."""

from __future__ import annotations

import os
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from codecarbon import OfflineEmissionsTracker
from codecarbon.output_methods.emissions_data import EmissionsData
from codecarbon.output_methods.file import FileOutput

from tune_kd.meter.codecarbon_csv import emissions, emissions_columns, emissions_row
from tune_kd.meter.energy import Energy
from tune_kd.meter.node import NodeMeter
from tune_kd.meter.power import PowerModel, this_machine
from tune_kd.meter.process import ProcessMeter
from tune_kd.meter.readings import NodeReaders

RUN = {"run_id": "r1", "scenario": "digits", "policy": "grid", "study_id": "s1"}
NODE = {"run_id": "r1", "node_id": "n1", "cpus": 8, "cpu_model": "A CPU", "gpus": 1, "ram_bytes": 2**34, "os": "Linux"}
TRIAL: dict[str, Any] = {
    "run_id": "r1",
    "node_id": "n1",
    "trial_id": "r1-0003",
    "attempt": 0,
    "ended_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "duration_s": 100.0,
    "energy_cpu_j": 1000.0,
    "energy_gpu_j": 3000.0,
    "energy_ram_j": 500.0,
    "energy_idle_j": 400.0,
    "energy_j": 4900.0,
    "co2e_g": 2.0,
    "pue": 1.5,
    "carbon_region": "BGD",
}


def test_the_components_add_up_to_the_energy_consumed_with_the_pue_in_it() -> None:
    row = emissions_row(RUN, TRIAL, NODE)
    assert row["energy_consumed"] == pytest.approx(4900 * 1.5 / 3.6e6)
    assert row["cpu_energy"] + row["gpu_energy"] + row["ram_energy"] == pytest.approx(row["energy_consumed"])
    assert row["gpu_energy"] == pytest.approx(3 * row["cpu_energy"])
    assert row["cpu_power"] == pytest.approx(row["cpu_energy"] * 3.6e6 / 100)


def test_grams_are_kilograms_there_and_the_country_has_its_name() -> None:
    row = emissions_row(RUN, TRIAL, NODE)
    assert row["emissions"] == 0.002
    assert row["emissions_rate"] == pytest.approx(0.00002)
    assert (row["country_iso_code"], row["country_name"]) == ("BGD", "Bangladesh")


def test_what_is_unmeasured_is_an_empty_cell() -> None:
    row = emissions_row(RUN, {**TRIAL, "energy_gpu_j": None, "energy_j": float("nan"), "co2e_g": None}, {})
    assert row["gpu_energy"] is None
    assert row["energy_consumed"] is None
    assert row["emissions"] is None
    assert row["cpu_energy"] == pytest.approx(1400 * 1.5 / 3.6e6)


def test_a_trial_that_only_idled_has_its_idle_energy_in_the_cpus_column() -> None:
    row = emissions_row(RUN, {**TRIAL, "energy_cpu_j": 0.0, "energy_gpu_j": 0.0, "pue": 1.0}, NODE)
    assert row["cpu_energy"] == pytest.approx(400 / 3.6e6)


def test_the_file_is_one_that_codecarbon_itself_would_go_on_writing(tmp_path: Path) -> None:
    path = tmp_path / "emissions.csv"
    emissions(pd.DataFrame([RUN]), pd.DataFrame([TRIAL, TRIAL]), pd.DataFrame([NODE])).to_csv(path, index=False)
    row = dict.fromkeys(emissions_columns(), 0)
    FileOutput(path.name, str(tmp_path)).out(EmissionsData(**row), None)  # appends, or moves a foreign file away
    assert len(pd.read_csv(path)) == 3
    assert tuple(pd.read_csv(path)) == emissions_columns()


def test_a_store_without_nodes_exports_all_the_same() -> None:
    rows = emissions(pd.DataFrame([RUN]), pd.DataFrame([TRIAL]), pd.DataFrame(columns=["run_id", "node_id"]))
    assert rows["cpu_model"].isna().all()
    assert rows["energy_consumed"].notna().all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # codecarbon's own, of options that older ones need
def test_our_joules_and_codecarbons_are_the_same_under_the_same_power_model() -> None:
    """The median of three readings on a quiet computer: codecarbon's are off by a tenth beside other load."""
    readings = [with_load_elsewhere(cpu_s=2.0) for _ in range(5)]
    quiet = [ratios for ratios, elsewhere in readings if elsewhere < 0.1]
    if len(quiet) < 3:
        pytest.skip(f"other programs used {max(load for _, load in readings):.0%} of the computer meanwhile")
    for median in (statistics.median(column) for column in zip(*quiet, strict=True)):
        assert median == pytest.approx(1, abs=0.02)


def with_load_elsewhere(cpu_s: float) -> tuple[tuple[float, ...], float]:
    """The ratios of :func:`side_by_side`, and which share of the computer's CPU time other programs had meanwhile."""
    started_s, busy_s, own_s = time.monotonic(), busy_cpu_s(), time.process_time()
    ratios = side_by_side(cpu_s)
    elsewhere_s = busy_cpu_s() - busy_s - (time.process_time() - own_s)
    return ratios, elsewhere_s / (time.monotonic() - started_s) / this_machine().cpus


def busy_cpu_s() -> float:
    """CPU seconds of the whole computer that were not idle."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def side_by_side(cpu_s: float) -> tuple[float, ...]:
    """CPU, RAM and total energy of this process, the process meter's and the node meter's, over codecarbon's."""
    cpus = this_machine().cpus
    power = PowerModel(cpus=cpus, cpu_watts=40, ram_gib=10, ram_watts_per_gib=1, idle_share=0, source="both trackers")
    tracker = OfflineEmissionsTracker(
        country_iso_code="BGD",
        tracking_mode="process",
        force_cpu_power=40,
        force_ram_power=10,
        force_mode_cpu_load=True,
        measure_power_secs=1000,  # one interval: its short ones overlap at stop() and count twice
        save_to_file=False,
        save_to_api=False,
        allow_multiple_runs=True,
        gpu_ids=[],
        log_level="critical",
    )
    node = NodeMeter(NodeReaders(power))
    tracker.start()
    process = ProcessMeter(power, cpus=cpus)
    node.register("a", os.getpid(), cpus=cpus)
    end_s = time.process_time() + cpu_s
    while time.process_time() < end_s:
        sum(range(2_000))
    by_process, by_node = process.mark(), node.unregister("a").energy
    tracker.stop()
    theirs = tracker.final_emissions_data
    return (*over(by_process, theirs), *over(by_node, theirs))


def over(ours: Energy, theirs: EmissionsData) -> tuple[float, ...]:
    pairs = ((ours.cpu_j, theirs.cpu_energy), (ours.ram_j, theirs.ram_energy), (ours.total_j, theirs.energy_consumed))
    return tuple((joules or 0.0) / (kwh * 3.6e6) for joules, kwh in pairs)
