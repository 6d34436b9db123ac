"""Real runs of a search that stops trials early and models what it has seen."""

from __future__ import annotations

import json

import pytest

import tune_kd

pytestmark = pytest.mark.slow

SMALL = {"recipe.epochs": 4, "teacher_recipe.epochs": 1}


def test_hyperband_stops_trials_by_bracket_and_learns_from_all_of_them(ray_running, cache, tmp_path):
    outcome = tune_kd.run(
        "hyperband-tpe:reduction=2:startup=4", budget="9trials", settings=SMALL, store=tmp_path / "runs", cache=cache
    )
    run, trials = outcome.store.runs().iloc[0], outcome.store.trials()
    assert (run.status, run.spent, len(trials)) == ("completed", 9, 9)
    stopped = trials[trials.status == "stopped"]
    assert set(stopped.epochs) <= {1, 2}
    assert (trials[trials.status == "completed"].epochs == 4).all()
    assert trials.test_score.notna().all()
    assert json.loads(run.policy_json)["options"]["brackets"] == 3
