"""A plan holds everything that will be run, and refuses in one line what cannot be, before anything starts."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import POLICIES
from search_spaces import SPACES
from tune_kd.budget.amount import Budget
from tune_kd.config.scenario import load_scenario
from tune_kd.errors import InputError
from tune_kd.planning.plan import Study, plan_study

LABELS = [*POLICIES, "annealing:shape=cosine", "stochastic:continuous=true"]


def test_every_policy_runs_in_every_replicate_and_replicates_come_one_after_another() -> None:
    study = plan_study(policies=["grid", "stochastic"], replicates=3)
    expected = [(replicate, label) for replicate in range(3) for label in ("grid", "stochastic")]
    assert [(plan.replicate, plan.label) for plan in study.runs] == expected


@settings(max_examples=30)
@given(
    labels=st.lists(st.sampled_from(LABELS), min_size=1, max_size=8),
    replicates=st.integers(1, 5),
    seed=st.integers(0, 2**31 - 1),
)
def test_runs_have_ids_of_their_own_and_replicates_pair_the_policies(
    labels: list[str], replicates: int, seed: int
) -> None:
    study = plan_study(policies=labels, replicates=replicates, seed=seed)
    assert len({plan.run_id for plan in study.runs}) == len(study.runs) == len(set(labels)) * replicates
    assert {plan.study_id for plan in study.runs} == {study.study_id}
    seeds = {(plan.replicate, plan.seed) for plan in study.runs}
    assert len(seeds) == len(dict(seeds)) == len({seed for _, seed in seeds}) == replicates


def test_a_policy_named_in_two_ways_does_not_write_two_runs_under_one_id() -> None:
    spellings = ["stochastic:continuous=true", "stochastic:continuous= true", "stochastic:continuous"]
    ids = [plan.run_id for plan in plan_study(policies=spellings).runs]
    assert len(set(ids)) == len(ids)


def test_more_replicates_leave_the_first_ones_as_they_were() -> None:
    few, many = (plan_study(policies=["grid"], replicates=count, seed=5) for count in (2, 6))
    assert [plan.seed for plan in many.runs[:2]] == [plan.seed for plan in few.runs]


def test_studies_have_ids_of_their_own() -> None:
    assert len({plan_study(policies=["grid"]).study_id for _ in range(5)}) == 5


def trials_at_most(study: Study) -> list[int | None]:
    return [plan.trials_at_most for plan in study.runs]


def test_the_recipe_track_gives_each_policy_its_own_number_of_trials() -> None:
    study = plan_study(policies=["grid", "random", "tpe", "annealing", "stochastic"], budget="20trials")
    assert trials_at_most(study) == [19, 20, 20, 1, 1]


def test_the_budget_track_gives_every_policy_the_budget() -> None:
    study = plan_study(policies=["random", "annealing", "stochastic"], budget="7trials", track="budget")
    assert trials_at_most(study) == [7, 7, 7]


def test_the_target_track_has_the_budget_as_its_cap_and_an_accuracy_to_reach() -> None:
    study = plan_study(policies=["grid", "stochastic"], budget="7trials", track="target", target_accuracy=0.9)
    assert trials_at_most(study) == [7, 7]
    assert [plan.target_accuracy for plan in study.runs] == [0.9, 0.9]


def test_a_budget_caps_the_recipe_track() -> None:
    assert trials_at_most(plan_study(policies=["grid", "stochastic"], budget="5trials")) == [5, 1]


def test_in_another_currency_only_the_recipe_bounds_the_trials() -> None:
    study = plan_study(policies=["grid", "random"], budget="1kWh")
    assert trials_at_most(study) == [19, None]
    assert study.runs[0].budget == Budget(currency="joules", limit=3.6e6)


def test_the_plan_takes_over_what_was_asked() -> None:
    study = plan_study(policies=["grid"], space="tau-alpha", settings={"recipe.lr": 0.05}, train_limit=300, name="n")
    assert study.name == "n"
    assert study.scenario == load_scenario("digits").changed({"train_limit": 300, "recipe.lr": 0.05}).settled()
    assert study.runs[0].space == SPACES["tau-alpha"]
    assert study.runs[0].max_trials == 19 * 4


def test_a_folder_without_a_scenario_gets_the_one_for_images(tmp_path: Path) -> None:
    scenario = plan_study(policies=["grid"], data=tmp_path).scenario
    assert scenario == load_scenario("images").changed({"data": str(tmp_path)}).settled()


def test_a_folder_with_a_scenario_keeps_it(tmp_path: Path) -> None:
    assert plan_study(policies=["grid"], scenario="digits", data=tmp_path).scenario.student == "digits-student"


GOOD: dict[str, Any] = {"policies": ["grid"]}
SPACE_FILES = {
    "zero": "[tau]\nlow = 0\nhigh = 4\nstep = 1",
    "real": "[tau]\nlow = 1\nhigh = 4",
    "broken": "[tau",
}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"policies": []}, ["no policy", "grid"]),
        ({"policies": ["grid", "stocastic"]}, ["policy 'stocastic'", "did you mean 'stochastic'"]),
        ({"policies": ["tpe:startup=0"]}, ["tpe:startup=0", "≥ 1"]),
        ({"scenario": "digit"}, ["scenario 'digit'", "did you mean 'digits'"]),
        ({"space": "taus"}, ["space 'taus'", "did you mean 'tau'"]),
        ({"space": "zero.toml"}, ["zero", "τ must be > 0", "0"]),
        ({"space": "real.toml"}, ["'grid'", "'real'", "no step"]),
        ({"space": "broken.toml"}, ["broken.toml"]),
        ({"budget": "0trials"}, ["> 0 trials", "0", "20trials"]),
        ({"budget": "-5epochs"}, ["> 0 epochs", "-5", "400epochs"]),
        ({"budget": "20"}, ["'20'", "unit is missing", "20trials"]),
        ({"budget": "20trails"}, ["'20trails'", "'trails'", "20trials"]),
        ({"track": "bugdet"}, ["track 'bugdet'", "did you mean 'budget'", "recipe"]),
        ({"track": "target"}, ["--target-accuracy", "0.95"]),
        ({"target_accuracy": 0.9}, ["--track target", "0.9", "recipe"]),
        ({"track": "target", "target_accuracy": 0}, ["(0, 1]", "0"]),
        ({"track": "target", "target_accuracy": 95}, ["(0, 1]", "95"]),
        ({"track": "target", "target_accuracy": float("nan")}, ["(0, 1]", "nan"]),
        ({"replicates": 0}, ["replicates", "≥ 1", "0"]),
        ({"seed": -1}, ["seed", "≥ 0", "-1"]),
        ({"train_limit": 0}, ["train_limit", "1", "0"]),
        ({"data": "nowhere"}, ["nowhere", "no data folder"]),
        ({"settings": {"student": "resnet19"}}, ["student model 'resnet19'", "did you mean 'resnet18'"]),
        ({"settings": {"teacher": "resnet19"}}, ["teacher model 'resnet19'", "did you mean 'resnet18'"]),
        ({"settings": {"alpha": 2}}, ["alpha", "2"]),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(
    asked: dict[str, Any], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in SPACE_FILES.items():
        (tmp_path / f"{name}.toml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        plan_study(**{**GOOD, **asked})
    text = str(refused.value)
    assert "\n" not in text
    assert [word for word in words if word not in text] == []


def test_every_policy_can_be_planned_in_every_space_that_it_can_search() -> None:
    for label, space in itertools.product(LABELS, SPACES):
        assert len(plan_study(policies=[label], space=space).runs) == 1
