"""From Python the options are keywords with the command line's names, and none that is not known is dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import run_events

import tune_kd
from tune_kd.data import ImageData
from tune_kd.errors import InputError
from tune_kd.history import resume
from tune_kd.history.records import plan_rows, run_rows
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study, plan_study
from tune_kd.planning.plan_options import Planning
from tune_kd.store import Store, create_store


@pytest.mark.parametrize(
    ("function", "given", "wrong", "nearest"),
    [
        (tune_kd.compare, {"policies": ["fixed"]}, "replicats", "replicates"),
        (tune_kd.run, {}, "epoch", "epochs"),
        (tune_kd.run, {}, "cpu_per_trial", "cpus_per_trial"),
        (tune_kd.resume, {}, "max_concurent", "max_concurrent"),
        (tune_kd.extend, {"study": "s"}, "replicate", "replicates"),
        (tune_kd.study, {"name": "table1"}, "scales", "scale"),
        (plan_study, {"policies": ["grid"]}, "polices", "policies"),
    ],
)
def test_an_unknown_keyword_is_an_error_with_the_nearest_name(
    function: Callable[..., Any], given: dict[str, Any], wrong: str, nearest: str
) -> None:
    with pytest.raises(InputError, match=f"unknown keyword of .*: '{wrong}'; did you mean '{nearest}'"):
        function(**given, **{wrong: 2})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"replicates": 2.5}, "replicates must be a whole number, got 2.5"),
        ({"replicates": "2"}, "replicates must be a whole number, got '2'"),
        ({"epochs": False}, "epochs must be a whole number or None, got False"),
        ({"alpha": "0.5"}, "alpha must be a number or None, got '0.5'"),
        ({"quantize": "no"}, "quantize must be True or False, got 'no'"),
        ({"data": 3}, "data must be a text or a path or None, got 3"),
    ],
)
def test_a_value_of_another_type_is_refused_in_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}$"):
        plan_study(policies=["grid"], **given)
    with pytest.raises(InputError, match=r"share_teacher must be True or False or None, got 'no'"):
        tune_kd.run(share_teacher="no")  # type: ignore[arg-type]


def test_numbers_may_be_numpys() -> None:
    given: dict[str, Any] = {"replicates": np.int64(2), "alpha": np.float64(0.5)}
    study = plan_study(policies=["grid"], **given)
    assert (len(study.runs), study.scenario.alpha) == (2, 0.5)


@pytest.mark.parametrize("function", [tune_kd.resume, tune_kd.extend])
def test_what_was_planned_before_cannot_be_given_again(function: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"unknown keyword of .*: 'epochs'"):
        function("s1", epochs=3)


def test_the_names_of_the_command_line_say_what_is_trained() -> None:
    scenario = plan_study(policies=["fixed"], epochs=1, loss="dml-tau", recipe="authors", student="wrn-16-1").scenario
    assert (scenario.recipe.epochs, scenario.loss, scenario.student) == (1, "dml-tau", "wrn-16-1")
    assert scenario.recipe_name == "authors, but recipe.epochs"


def test_any_field_is_set_by_a_mapping_or_by_words() -> None:
    ways: list[dict[str, Any]] = [
        {"set": {"recipe.lr": 0.05}},
        {"set": ["recipe.lr=0.05"]},
        {"settings": {"recipe.lr": 0.05}},
        {"planning": Planning(set={"recipe.lr": 0.05})},
    ]
    assert [plan_study(policies=["grid"], **way).scenario.recipe.lr for way in ways] == [0.05] * 4


@pytest.mark.parametrize(
    "given",
    [
        {"set": {"recipe.lr": 1}, "settings": {"recipe.lr": 2}},
        {"settings": {"recipe.epochs": 1}, "epochs": 2},
        {"settings": {"train_limit": 100}, "train_limit": 200},
        {"planning": Planning(epochs=1), "epochs": 2},
    ],
)
def test_what_is_given_twice_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"leave one out"):
        plan_study(policies=["grid"], **given)


def test_options_can_be_made_once_and_used_for_several_studies() -> None:
    planning = Planning(epochs=4, replicates=2)
    assert [len(plan_study(policies=[name], planning=planning).runs) for name in ("grid", "tpe")] == [2, 2]


MIX: dict[str, Any] = {"carbon_region": "DEU", "carbon_year": 2024}


@pytest.fixture
def extensible(digits: ImageData, tmp_path: Path) -> tuple[Study, Store]:
    """A study with a trial, recorded with a carbon intensity of 380 g/kWh and a PUE of 1.5."""
    study, store = plan_study(policies=["grid"], name="compare"), create_store(tmp_path / "runs")
    plan_rows(study, digits, store)
    run_id = study.runs[0].run_id
    with store.journal(run_id, f"{run_id}-0000", 0) as journal:
        started = run_events.started(f"{run_id}-0000", 0)
        journal.append(replace(started, run_id=run_id, carbon_g_per_kwh=380.0, pue=1.5, carbon_source="a mix", **MIX))
        journal.append(replace(run_events.ended(f"{run_id}-0000", 0), run_id=run_id))
    store.seal(run_id, f"{run_id}-0000", 0)
    store.write_nodes(run_id, [{"node_id": "n", "meter_params_json": '{"period_s": 0.5, "given": {"cpu_watts": 60}}'}])
    return study, store


def test_a_study_goes_on_with_the_carbon_and_the_meters_that_it_was_recorded_with(
    extensible: tuple[Study, Store],
) -> None:
    _, store = extensible
    rows = run_rows(store.runs())
    execution = resume.as_recorded(Execution(max_concurrent=2), store, rows)
    assert (execution.carbon.intensity_g_per_kwh, execution.carbon.pue, execution.carbon.source) == (380, 1.5, "a mix")
    assert (execution.carbon.region, execution.carbon.year) == ("DEU", 2024)
    assert (execution.meter_period, execution.power(), execution.max_concurrent) == (0.5, {"cpu_watts": 60}, 2)
    assert replace(execution, max_concurrent=1).carbon == execution.carbon


def test_what_is_asked_for_takes_the_place_of_what_was_recorded(extensible: tuple[Study, Store]) -> None:
    _, store = extensible
    rows = run_rows(store.runs())
    execution = resume.as_recorded(Execution(carbon_intensity=50, cpu_watts=40), store, rows)
    assert (execution.carbon.intensity_g_per_kwh, execution.carbon.pue) == (50, 1)
    assert (execution.meter_period, execution.power()) == (1.0, {"cpu_watts": 40})
