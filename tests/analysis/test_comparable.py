"""Which runs are compared and which are never pooled: the rules of docs/decisions/statistics.md, one by one."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from synthetic import Row, run, trial

from analysis.ranking import pair_table
from analysis.runs.outcomes import notices, run_outcomes
from analysis.summary import comparison_title, tabulate

GIB = 2**30
MODELLED = {"meter_method_cpu": "model", "meter_method_ram": "model", "meter_method_gpu": None}
COUNTED = {"meter_method_cpu": "counter", "meter_method_ram": "counter", "meter_method_gpu": None}
H200 = {"gpu_model": "H200", "gpus": 1, "meter_method_gpu": "counter"}


def assumed(memory: float = 16 * GIB, **changes: Any) -> str:
    """What a meter assumed of a node with so many bytes."""
    params = {"period_s": 1.0, "cpu_watts": 8.0, "cpu_idle_w": 0.8, "ram_w": 0.3725 * memory / GIB, "given": {}}
    return json.dumps({**params, **changes})


def node(**changes: Any) -> Row:
    machine: Row = {"cpu_model": "EPYC", "cpus": 2, "ram_bytes": 16 * GIB, "gpu_model": None, "gpus": None}
    machine |= {"power_limit_w": None, "mig": None, "torch": "2.15", "optuna": "4.5"}
    machine |= {**MODELLED, **changes}
    return {"meter_params_json": assumed(machine["ram_bytes"]), **machine}


def store(*runs: tuple[Row, list[tuple[Row, Row]]]) -> pd.DataFrame:
    """Outcomes of runs of fixed, random, …; each with its columns, and node and columns of each of its trials."""
    policies = ("fixed", "random", "tpe", "grid")
    rows, trials, nodes = [], [], []
    for place, (columns, of_run) in enumerate(runs):
        key = f"run{place}"
        row = {"cpus_per_trial": 1.0, "gpus_per_trial": 0.0, "code_version": "1.0", "seed": 7}
        rows.append(run(key, policies[place], **{**row, **columns}))
        for index, (machine, changes) in enumerate(of_run):
            name = f"{key}-{index}"
            nodes.append({"run_id": key, "node_id": name, **machine})
            trials.append(trial(key, index, 0.8, 0.7, **{"node_id": name, "flops_synthesis": 0.0, **changes}))
    frames = [pd.DataFrame(one).convert_dtypes(dtype_backend="pyarrow") for one in (rows, trials, nodes)]
    return run_outcomes(*frames)


def two(one: Row, other: Row, first: Row | None = None, second: Row | None = None, **of_second: Any) -> pd.DataFrame:
    """Two runs of one trial each: their nodes, the columns of their trials, and those of the second run."""
    return store(({}, [(one, first or {})]), (of_second, [(other, second or {})]))


def together(outcomes: pd.DataFrame) -> bool:
    return outcomes["comparison"].nunique() == 1


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        ({}, True),
        ({"ram_bytes": 15.6 * GIB}, True),
        ({"ram_bytes": 15.4 * GIB}, True),
        ({"cpu_model": "Xeon"}, False),
        ({"cpus": 64}, False),
        ({"ram_bytes": 512 * GIB}, False),
        (H200, False),
    ],
)
def test_hardware_is_cpus_memory_and_gpus(other: Row, alike: bool) -> None:
    outcomes = two(node(), node(**other))
    assert outcomes["hardware"].iloc[0] == "EPYC × 2, 16 GiB"
    assert together(outcomes) == alike
    assert any("they differ in hardware (EPYC × 2, 16 GiB; " in line for line in notices(outcomes)) == (not alike)


@pytest.mark.parametrize("other", [{"power_limit_w": 350.0}, {"mig": True}, {"gpus": 8}])
def test_a_gpu_with_another_power_limit_or_split_into_instances_is_other_hardware(other: Row) -> None:
    gpu = node(**H200, power_limit_w=700.0, mig=False)
    assert together(two(gpu, dict(gpu)))
    assert not together(two(gpu, {**gpu, **other}))


@pytest.mark.parametrize(
    ("other", "alike"), [({}, True), ({"cpus_per_trial": 2.0}, False), ({"gpus_per_trial": 1.0}, False)]
)
def test_what_a_trial_reserves_of_its_node_is_hardware_too(other: Row, alike: bool) -> None:
    assert together(two(node(**H200), node(**H200), **other)) == alike


def test_machines_of_one_kind_are_one_hardware_so_a_merged_store_is_compared() -> None:
    outcomes = two(node(), node())
    assert together(outcomes)
    assert notices(outcomes) == []


def test_equal_seeds_on_another_machine_are_no_pair() -> None:
    assert len(pair_table(two(node(), node()))) == 1
    assert len(pair_table(two(node(), node(cpu_model="Xeon")))) == 0


def test_the_titles_of_comparisons_say_where_the_same_was_executed() -> None:
    titles = [comparison_title(row) for _, row in two(node(), node(cpus=64)).iterrows()]
    assert [title.partition(" pp")[2] for title in titles] == [" · EPYC × 2, 16 GiB", " · EPYC × 64, 16 GiB"]
    assert comparison_title(two(node(), node()).iloc[0]).endswith(" pp")


def test_energies_by_counter_and_by_model_are_never_pooled() -> None:
    outcomes = two(node(), node(**COUNTED), second={"energy_method": "counter"})
    assert not together(outcomes)
    assert "energy method (model; counter)" in notices(outcomes)[0]


def test_mixed_energies_are_pooled_only_where_each_component_was_read_alike() -> None:
    counted, modelled = node(**{**H200, **COUNTED, "meter_method_gpu": "counter"}), node(**H200)
    mixed = {"energy_method": "mixed"}
    assert together(two(modelled, dict(modelled), mixed, mixed))
    assert not together(two(counted, modelled, mixed, mixed))


@pytest.mark.parametrize("given", [{"cpu_watts": 20.0, "cpu_idle_w": 2.0}, {"cpu_idle_w": 2.4}, {"ram_w": 3.2}])
def test_joules_of_unlike_power_models_are_never_pooled(given: Row) -> None:
    outcomes = two(node(), node(meter_params_json=assumed(**given)))
    assert not together(outcomes)
    assert "they differ in meter (CPU model 8 W (10 % idle), RAM model 0.3725 W/GiB; CPU model " in notices(outcomes)[0]
    counted = node(**COUNTED, meter_params_json=assumed(**given))
    assert together(two(node(**COUNTED), counted)), "a counter assumes nothing"


def test_the_rate_of_readings_is_no_other_meter() -> None:
    assert together(two(node(), node(meter_params_json=assumed(period_s=0.5))))


def test_a_node_that_two_studies_metered_by_other_power_models_has_both() -> None:
    runs = pd.DataFrame([run("a", "grid"), run("b", "tpe")])
    trials = pd.DataFrame([trial(name, 0, 0.8, 0.7, node_id="n") for name in "ab"])
    nodes = pd.DataFrame(
        [
            node(run_id="a", node_id="n"),
            node(run_id="b", node_id="n", meter_params_json=assumed(cpu_watts=20.0, cpu_idle_w=2.0)),
        ]
    )
    assert not together(run_outcomes(runs, trials, nodes))


def test_a_run_on_two_kinds_of_nodes_is_compared_with_those_on_both_and_it_is_said() -> None:
    both: list[tuple[Row, Row]] = [(node(), {}), (node(cpu_model="Xeon"), {})]
    alone = store(({}, [(node(), {}), (node(), {})]), ({}, both))
    assert not together(alone)
    spread = store(({}, both), ({}, both))
    assert together(spread)
    assert notices(spread)[0].startswith("trials of 2 runs ran on several kinds of hardware")


@pytest.mark.parametrize("method", ["counter", "mixed"])
def test_a_run_whose_trials_were_metered_in_two_ways_is_compared_with_neither(method: str) -> None:
    changed: list[tuple[Row, Row]] = [(node(), {}), (node(), {"energy_method": method})]
    outcomes = store(({}, [(node(), {})] * 2), ({}, changed), ({}, [(node(), {"energy_method": method})]))
    assert outcomes["comparison"].tolist() == [0, 1, 2]
    assert any("metered in several ways" in line for line in notices(outcomes))


FAILED: Row = {"val_score": None, "test_score": None, "status": "failed", "node_id": None, "energy_method": None}


def test_a_failed_run_without_a_node_is_shown_with_its_study_else_with_its_setting() -> None:
    here, there = {"study_id": "here"}, {"study_id": "there"}
    xeon, nothing = node(cpu_model="Xeon"), [(node(), {**FAILED, "energy_j": None, "epochs": 0})]
    lost = {"status": "failed", "cpus_per_trial": None}
    runs = [(here, [(node(), {})]), (here, [(node(), {})]), (there, [(xeon, {})])]
    assert store(*runs, ({**there, **lost}, nothing))["comparison"].tolist() == [0, 0, 1, 1]
    assert store(*runs, ({"study_id": "another", **lost}, nothing))["comparison"].tolist() == [0, 0, 1, 0]


def test_a_run_whose_energy_nobody_measured_keeps_its_accuracy_and_its_cost_is_unknown() -> None:
    unread: Row = {**MODELLED, "meter_method_cpu": None, "meter_method_ram": None, "meter_params_json": None}
    outcomes = two(node(), node(**unread), second={"energy_method": None, "energy_j": None})
    assert together(outcomes)
    assert len(pair_table(outcomes)) == 1
    assert tabulate(outcomes)["energy_j"].isna().tolist() == [False, True]


def test_a_result_of_unknown_hardware_is_not_pooled() -> None:
    assert not together(two(node(), node(cpu_model=None)))


def test_carbon_intensities_are_said_and_part_only_runs_with_a_budget_in_co2e() -> None:
    paid, other = {"carbon_g_per_kwh": 300.0, "pue": 1.0}, {"carbon_g_per_kwh": 50.0, "pue": 1.0}
    outcomes = two(node(), node(), paid, other)
    assert together(outcomes)
    assert any("several carbon intensities" in line for line in notices(outcomes))
    grams = {"budget_currency": "gco2e"}
    budgets = store((grams, [(node(), paid)]), (grams, [(node(), other)]), (grams, [(node(), dict(paid))]))
    assert budgets["comparison"].tolist() == [0, 1, 0]
    assert "carbon intensity of the budget (300.0; 50.0)" in notices(budgets)[0]


@pytest.mark.parametrize("company", [{"side_by_side": 8}, {"co_tenants": 7}])
def test_trials_side_by_side_or_in_other_company_are_compared_and_it_is_said(company: Row) -> None:
    alone = {name: 1 for name in company}
    outcomes = two(node(), node(), alone, company)
    assert together(outcomes)
    assert len(notices(outcomes)) == 1


@pytest.mark.parametrize(
    ("other", "of_run", "said"),
    [
        ({"torch": "2.16"}, {}, "torch 2.15, 2.16"),
        ({"optuna": "5.0"}, {}, "optuna 4.5, 5.0"),
        ({}, {"code_version": "1.1"}, "tune-kd 1.0, 1.1"),
    ],
)
def test_several_versions_of_the_software_are_compared_and_said(other: Row, of_run: Row, said: str) -> None:
    outcomes = two(node(), node(**other), **of_run)
    assert together(outcomes)
    assert notices(outcomes)[0].endswith(said)


def test_another_precision_is_another_recipe() -> None:
    assert not together(two(node(), node(), scenario_json='{"precision": "bfloat16"}'))


def test_a_run_of_a_version_that_knew_no_own_pace_and_no_synthesis_is_compared_by_the_hour() -> None:
    older: Row = {"flops_synthesis": None, "energy_own_pace_j": None}
    outcomes = two(node(), node(), {"energy_own_pace_j": 9.0}, older)
    assert together(outcomes)
    assert outcomes["energy_j"].tolist() == [10.0, 10.0]
    assert outcomes["energy_own_pace_j"].isna().tolist() == [False, True]


def test_images_of_a_trials_own_are_not_pooled_with_shared_ones() -> None:
    assert not together(two(node(), node(), second={"flops_synthesis": 5.0}))
