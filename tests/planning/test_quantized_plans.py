"""What --quantize plans, and what does not go with it: told in one line, before anything starts."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from tune_kd.config.scenario import Scenario, from_record, load_scenario, scenario_sha256, to_record
from tune_kd.errors import InputError
from tune_kd.planning.forecast import forecast
from tune_kd.planning.paper_studies import plan_parts
from tune_kd.planning.plan import plan_study


def planned(**planning: Any) -> Scenario:
    return plan_study(policies=["student"], **planning).scenario


def test_what_is_planned_has_the_numbers_that_follow_from_the_recipe() -> None:
    scenario = planned(quantize=True)  # the digits': 18 epochs, rate 0.1 with three drops by 0.2
    assert scenario.quantization is not None
    assert scenario.quantization.epochs == 2
    assert scenario.quantization.lr == pytest.approx(0.1 * 0.2**3 / 10)
    assert scenario.trial_epochs == 20
    assert from_record(to_record(scenario)) == scenario


def test_a_field_of_it_asks_for_it_too() -> None:
    assert planned(settings={"quantization.epochs": 5}).trial_epochs == 23
    assert planned(quantize=True, settings={"quantization.epochs": 5}) == planned(settings={"quantization.epochs": 5})


def test_without_it_a_scenario_is_recorded_as_before() -> None:
    scenario = planned()
    assert "quantization" not in to_record(scenario)
    assert scenario.trial_epochs == scenario.recipe.epochs
    assert scenario_sha256(scenario) != scenario_sha256(planned(quantize=True))


def test_a_budget_in_epochs_has_room_for_fewer_trials() -> None:
    study = plan_study(policies=["grid"], quantize=True, track="budget", budget="100epochs")
    [row] = forecast(study, None)
    assert row.trials == 5


@pytest.mark.parametrize(
    ("policy", "planning", "said"),
    [
        ("asha", {}, "policy 'asha' stops trials early, most of them before they are quantized"),
        ("hyperband-tpe", {}, "policy 'hyperband-tpe' stops trials early"),
        ("grid", {"track": "target", "target_accuracy": 0.9}, "track 'target' stops a trial once it is good enough"),
        ("grid", {"scenario": "digit-scenes"}, "quantization is of task 'classification', so task 'detection'"),
        ("grid", {"precision": "bfloat16"}, "precision must be that, got 'bfloat16'"),
        ("grid", {"settings": {"quantization.bits": 4}}, "quantization.bits: input should be 8, got 4"),
        ("grid", {"settings": {"quantization.epochs": 0}}, "quantization.epochs: input should be greater than"),
        ("grid", {"settings": {"quantization.bit": 8}}, "did you mean 'quantization.bits'"),
    ],
)
def test_what_does_not_go_with_it_is_refused(policy: str, planning: dict[str, Any], said: str) -> None:
    quantize = not any("quantization.bits" in settings for settings in planning.values() if isinstance(settings, dict))
    with pytest.raises(InputError, match=said) as refusal:
        plan_study(policies=[policy], quantize=quantize, **planning)
    assert "\n" not in str(refusal.value)


def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torchao" else found(name))
    with pytest.raises(InputError, match=r"needs torchao, .* pip install 'tune-kd\[quantization\]'"):
        planned(quantize=True)
    assert planned() == load_scenario("digits").settled()


def test_in_a_study_with_quantized_parts_their_settings_are_theirs_alone() -> None:
    settings = {"quantization.epochs": 100, "recipe.lr": 0.05}
    plain, quantized = (part.scenario for part in plan_parts("table8", settings=settings))
    assert plain.quantization is None
    assert quantized.trial_epochs == 200
    assert plain.recipe == quantized.recipe
    assert plain.recipe.lr == 0.05
    assert [part.scenario.trial_epochs for part in plan_parts("table5", settings=settings)] == [200]
