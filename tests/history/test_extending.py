"""A study gets more replicates: the ones it would have had from the start, and only those that are missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import run_events
from s3_server import FlakyServer

import tune_kd
from tune_kd.data import ImageData
from tune_kd.errors import InputError
from tune_kd.history.extend import added_runs, extend_study, study_rows, take_over_changes
from tune_kd.history.records import plan_rows
from tune_kd.planning.looks import Deciding
from tune_kd.planning.plan import Study, plan_study
from tune_kd.store import Store, create_store

PLAN = {
    "policies": ["stochastic:continuous=true", "grid"],
    "budget": "50Wh",
    "track": "target",
    "target_accuracy": 0.9,
    "seed": 5,
}


@pytest.fixture
def planned(digits: ImageData, tmp_path: Path) -> tuple[Study, Store]:
    study, store = plan_study(**PLAN, replicates=2, name="compare"), create_store(tmp_path / "runs")
    plan_rows(study, digits, store)
    return study, store


def test_the_new_replicates_are_those_of_a_study_that_had_them_from_the_start(planned: tuple[Study, Store]) -> None:
    study, store = planned
    more = extend_study(store, study.study_id, 4)
    whole = plan_study(**PLAN, replicates=4)
    expected = [
        replace(plan, study_id=study.study_id, run_id=plan.run_id.replace(whole.study_id, study.study_id))
        for plan in whole.runs
    ]
    assert (more.study_id, more.name) == (study.study_id, "compare")
    together = [replace(plan, planned_replicates=4) for plan in (*study.runs, *more.runs)]
    assert {plan.run_id: plan for plan in together} == {plan.run_id: plan for plan in expected}


def test_a_run_knows_how_many_replicates_were_planned_when_it_was(planned: tuple[Study, Store]) -> None:
    study, store = planned
    more = extend_study(store, study.study_id, 4)
    assert {plan.planned_replicates for plan in study.runs} == {2}
    assert {plan.planned_replicates for plan in more.runs} == {4}


def test_a_study_that_stops_once_decided_is_not_extended(digits: ImageData, tmp_path: Path) -> None:
    study = plan_study(policies=["fixed", "grid"], deciding=Deciding(until_decided=True, max_replicates=20))
    store = create_store(tmp_path / "runs")
    plan_rows(study, digits, store)
    with pytest.raises(InputError, match=f"at 20 replicates at the latest.*go on with it by .*resume {study.study_id}"):
        extend_study(store, study.study_id, 30)


def test_only_the_policies_that_are_named_get_more_runs(digits: ImageData, tmp_path: Path) -> None:
    study = plan_study(policies=["fixed", "grid", "random"], deciding=Deciding(until_decided=True, max_replicates=7))
    store = create_store(tmp_path / "runs")
    plan_rows(study, digits, store)
    more = added_runs(study_rows(store, study.study_id), 7, ["grid", "random"])
    assert [(plan.replicate, plan.label) for plan in more.runs] == [
        (5, "grid"),
        (5, "random"),
        (6, "grid"),
        (6, "random"),
    ]
    assert {plan.looks for plan in more.runs} == {study.looks}


def test_what_a_study_has_is_not_planned_again(planned: tuple[Study, Store], digits: ImageData) -> None:
    study, store = planned
    plan_rows(extend_study(store, study.study_id, 3), digits, store)
    more = extend_study(store, study.study_id, 4)
    assert [plan.replicate for plan in more.runs] == [3, 3]
    assert len(store.runs()) == 6


def test_a_study_that_has_as_many_is_left_alone(planned: tuple[Study, Store]) -> None:
    study, store = planned
    for replicates in (1, 2):
        with pytest.raises(InputError, match=f"has 2 replicates already.*got {replicates}"):
            extend_study(store, study.study_id, replicates)


def test_a_study_that_is_not_there_is_answered_with_the_nearest(planned: tuple[Study, Store]) -> None:
    study, store = planned
    with pytest.raises(InputError, match=f"study .*did you mean '{study.study_id}'"):
        extend_study(store, study.study_id + "0", 4)


def test_what_was_forced_is_in_the_new_rows(planned: tuple[Study, Store], digits: ImageData) -> None:
    study, store = planned
    before = study_rows(store, study.study_id)
    more = extend_study(store, study.study_id, 3)
    assert len(before) == 4
    for row in before:
        row.force(f"of {row.plan().label}")
    rows = plan_rows(more, digits, store)
    take_over_changes(rows, before)
    assert {plan.label: rows[plan.run_id].forced_changes for plan in more.runs} == {
        label: f"of {label}" for label in PLAN["policies"]
    }


def test_journals_that_a_dead_driver_left_in_the_given_cache_are_sealed(
    digits: ImageData, s3: FlakyServer, tmp_path: Path
) -> None:
    """Those of a store at a URL lie in the cache: the default one has none of them."""
    study, url, cache = plan_study(**PLAN, name="compare"), "s3://bucket/extended/runs", tmp_path / "cache"
    store = create_store(url, cache=cache)
    plan_rows(study, digits, store)
    run_id = study.runs[0].run_id
    with store.journal(run_id, f"{run_id}-0000", 0) as journal:
        journal.append(replace(run_events.started(f"{run_id}-0000", 0), run_id=run_id))
    with pytest.raises(InputError, match="has 1 replicate already"):
        tune_kd.extend(study.study_id, replicates=1, store=url, cache=cache)
    assert store.trials().status.tolist() == ["lost"]
