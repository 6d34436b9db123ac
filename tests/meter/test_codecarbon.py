"""codecarbon: its file, which its users' tools read, and its own tracker as a cross-check."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from codecarbon.external.hardware import CPU, MODE_CPU_LOAD
from codecarbon.output_methods.emissions_data import EmissionsData
from codecarbon.output_methods.file import FileOutput
from store_records import run_row, started

from tune_kd.meter.carbon import carbon
from tune_kd.meter.codecarbon_csv import emissions, emissions_columns, emissions_row
from tune_kd.meter.node import NodeMeter
from tune_kd.meter.power_model import PowerModel, this_machine
from tune_kd.meter.process import ProcessMeter
from tune_kd.meter.readings import NodeReaders
from tune_kd.store import create_store, open_store
from tune_kd.store.reading.plain_rows import plain_rows
from tune_kd.store.schema import SCHEMAS

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
}


def test_the_components_add_up_to_the_energy_consumed_with_the_pue_in_it() -> None:
    row = emissions_row(RUN, TRIAL, NODE)
    assert row["energy_consumed"] == pytest.approx(4900 * 1.5 / 3.6e6)
    assert row["cpu_energy"] + row["gpu_energy"] + row["ram_energy"] == pytest.approx(row["energy_consumed"])
    assert row["gpu_energy"] == pytest.approx(3 * row["cpu_energy"])
    assert row["cpu_power"] == pytest.approx(row["cpu_energy"] * 3.6e6 / 100)


def test_the_power_of_an_attempt_that_was_killed_is_of_the_time_that_was_metered() -> None:
    killed = {**TRIAL, "status": "lost", "metered_s": 400.0}  # three quarters of it after the last report
    row = emissions_row(RUN, killed, NODE)
    assert row["duration"] == 400.0
    assert row["ram_power"] == pytest.approx(500 * 1.5 / 400)
    assert row["ram_power"] * row["duration"] == pytest.approx(row["ram_energy"] * 3.6e6)
    early = emissions_row(RUN, {**killed, "duration_s": None}, NODE)  # before its first report
    assert early["ram_power"] == row["ram_power"]


def test_grams_are_kilograms_there() -> None:
    row = emissions_row(RUN, TRIAL, NODE)
    assert row["emissions"] == 0.002
    assert row["emissions_rate"] == pytest.approx(0.00002)


def test_the_country_that_a_store_has_recorded_is_in_the_row_with_its_name(tmp_path: Path) -> None:
    store = create_store(tmp_path / "runs")
    for run_id, recorded in (("r", carbon("BGD")), ("world", carbon())):
        with store.journal(run_id, f"{run_id}-0000", 0) as journal:
            place: dict[str, Any] = {"carbon_region": recorded.region, "carbon_year": recorded.year}
            journal.append(started(run_id, 0, **place))
        store.seal(run_id, f"{run_id}-0000", 0)
        store.write_run(run_row(run_id))
    rows = emissions(*map(plain_rows, (store.runs(), store.trials(), store.nodes())))
    assert rows[["country_iso_code", "country_name"]].fillna("").values.tolist() == [["BGD", "Bangladesh"], ["", ""]]
    assert store.trials()["carbon_year"].isna().tolist() == [False, True]


def test_a_store_of_before_countries_were_recorded_has_none() -> None:
    store = open_store(Path(__file__).parents[1] / "store" / "golden" / "v1")
    rows = emissions(*map(plain_rows, (store.runs(), store.trials(), store.nodes())))
    assert rows["country_iso_code"].isna().all()
    assert len(rows) == 4


def test_every_column_of_ours_that_the_row_is_made_of_is_one_of_the_stores() -> None:
    class Asked(dict[str, Any]):
        """A row that remembers which of its columns were asked for."""

        def get(self, name: str, default: Any = None) -> Any:
            asked.add(name)
            return super().get(name, default)

    for place, table in enumerate(("runs", "trials", "nodes")):
        asked: set[str] = set()
        given: list[dict[str, Any]] = [RUN, TRIAL, NODE]
        given[place] = Asked(given[place])
        emissions_row(*given)
        assert asked <= set(SCHEMAS[table].names)


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
    emissions([RUN], [TRIAL, TRIAL], [NODE]).to_csv(path, index=False)
    row = dict.fromkeys(emissions_columns(), 0)
    FileOutput(path.name, str(tmp_path)).out(EmissionsData(**row), None)  # appends, or moves a foreign file away
    assert len(pd.read_csv(path)) == 3
    assert tuple(pd.read_csv(path)) == emissions_columns()


def test_a_store_without_nodes_exports_all_the_same() -> None:
    rows = emissions([RUN], [TRIAL], [])
    assert rows["cpu_model"].isna().all()
    assert rows["energy_consumed"].notna().all()


@pytest.mark.slow
def test_our_joules_and_codecarbons_are_the_same_under_the_same_power_model() -> None:
    """codecarbon's own reader of a process's CPU, on a node with a single trial.

    Read at the two ends of the interval. Its tracker also samples power once a second in a thread of its own, and
    multiplies the last sample by the whole time: on two quiet cores that came to 1.1 to 2 times what was used.
    """
    for ours, theirs in side_by_side(cpu_s=4.0):
        least_j, most_j = theirs
        assert 0.98 * least_j <= ours <= 1.02 * most_j


def side_by_side(cpu_s: float) -> list[tuple[float, tuple[float, float]]]:
    """CPU energy of this process: the process meter's and the node meter's, each beside codecarbon's bounds.

    Its reader has watts, of an interval between two moments within its calls. It takes the seconds on trust: at
    least those between its calls, at most those around them. On a busy machine a process may wait between any two.
    """
    cpus = this_machine().cpus
    power = PowerModel(cpus=cpus, cpu_watts=40, ram_gib=10, ram_watts_per_gib=1, idle_share=0, source="both")
    theirs = CPU.from_utils("", MODE_CPU_LOAD, model="any", tdp=40, tracking_mode="process")
    node = NodeMeter(NodeReaders(power))
    around_s = time.monotonic()
    theirs.measure_power_and_energy(0)
    within_s = time.monotonic()
    process = ProcessMeter(power, cpus=cpus)
    node.register("a", os.getpid(), cpus=cpus)
    end_s = time.process_time() + cpu_s
    while time.process_time() < end_s:
        sum(range(2_000))
    by_process, by_node = process.mark(), node.unregister("a").energy
    least_s = time.monotonic() - within_s
    watts, _ = theirs.measure_power_and_energy(least_s)
    bounds_j = watts.W * least_s, watts.W * (time.monotonic() - around_s)
    return [(by_process.cpu_j or 0.0, bounds_j), (by_node.cpu_j or 0.0, bounds_j)]
