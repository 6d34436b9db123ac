"""A study of several parts for real: planned as a whole, gone on with as a whole, laid out from its records."""

from __future__ import annotations

from typing import Any

import pytest

import tune_kd
from analysis.runs.reading import read
from tune_kd.cli.shown.study_tables import tables_of
from tune_kd.data import Loading, load
from tune_kd.execution.study import joined
from tune_kd.history.records import plan_rows
from tune_kd.planning.paper_studies import plan_parts
from tune_kd.store import create_store

pytestmark = pytest.mark.slow

DIGITS: dict[str, Any] = {
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


def test_resume_goes_on_with_every_part_that_is_left_and_the_table_has_them_all(ray_running, cache, tmp_path):
    parts = plan_parts("fig3b", scale="small", **DIGITS)[:2]
    store = create_store(tmp_path / "runs")
    scenario = parts[0].scenario
    wanted = Loading(
        source="digits",
        image_size=8,
        validation_fraction=scenario.validation_fraction,
        split_seed=scenario.split_seed,
        train_limit=200,
        test_limit=100,
    )
    data = load(wanted)
    for part in parts:
        plan_rows(part, data, store)
    outcome = tune_kd.resume(store=tmp_path / "runs", cache=cache, max_concurrent=1)
    assert outcome.study.study_id == joined(parts).study_id
    assert set(outcome.statuses) == {plan.run_id for part in parts for plan in part.runs}
    assert (store.runs().status == "completed").all()
    assert store.runs().teacher_id.nunique() == 1, "the parts differ in the student's recipe alone"
    (table,) = tables_of("fig3b", read(store, study_id=outcome.study.study_id))
    assert [row[:2] for row in table.rows] == [
        ["8", "fixed"],
        ["8", "stochastic"],
        ["16", "fixed"],
        ["16", "stochastic"],
    ]
