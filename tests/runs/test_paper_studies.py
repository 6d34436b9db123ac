"""A study of several parts for real: planned as a whole, gone on with as a whole, laid out from its records."""

from __future__ import annotations

import pytest

import tune_kd
from tune_kd.cli.records import read
from tune_kd.cli.study import tables_of
from tune_kd.data import load
from tune_kd.parts import joined
from tune_kd.runner import plan_rows
from tune_kd.store import create_store
from tune_kd.studies import plan_parts

pytestmark = pytest.mark.slow

DIGITS = {
    "sources": {"cifar10": "digits"},
    "settings": {
        "teacher": "digits-teacher",
        "student": "digits-student",
        "image_size": 8,
        "train_limit": 200,
        "test_limit": 100,
        "recipe.epochs": 1,
        "teacher_recipe.epochs": 1,
    },
}


def test_a_study_runs_its_parts_with_one_teacher_and_has_the_papers_table(ray_running, cache, tmp_path):
    outcome = tune_kd.study("fig3b", scale="small", **DIGITS, store=tmp_path / "runs", cache=cache)
    runs = outcome.store.runs()
    assert set(outcome.statuses.values()) == {"completed"}
    assert len(runs) == len(outcome.study.runs) == 10
    assert runs.study_id.nunique() == 5
    assert runs.teacher_id.nunique() == 1
    (table,) = tables_of("fig3b", outcome, read(outcome.store, study_id=outcome.study.study_id))
    sizes = [(row[0], row[1]) for row in table.rows]
    assert sizes == [(str(size), policy) for size in (8, 16, 32, 64, 128) for policy in ("fixed", "stochastic")]


def test_resume_goes_on_with_every_part_that_is_left(ray_running, cache, tmp_path):
    parts = plan_parts("fig3b", scale="small", **DIGITS)[:2]
    store = create_store(tmp_path / "runs")
    scenario = parts[0].scenario
    data = load(
        "digits",
        image_size=8,
        validation_fraction=scenario.validation_fraction,
        split_seed=scenario.split_seed,
        train_limit=200,
        test_limit=100,
    )
    for part in parts:
        plan_rows(part, data, store)
    outcome = tune_kd.resume(store=tmp_path / "runs", cache=cache)
    assert outcome.study.study_id == joined(parts).study_id
    assert set(outcome.statuses) == {plan.run_id for part in parts for plan in part.runs}
    assert (store.runs().status == "completed").all()
