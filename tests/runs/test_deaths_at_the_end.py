"""A worker or a driver that dies between a trial's last report and its end: nothing is said, or charged, twice."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

import tune_kd
from tune_kd.errors import Interrupted
from tune_kd.events import EpochReport, Event
from tune_kd.progress.base import Progress

pytestmark = pytest.mark.slow

EPOCHS = 2
SMALL = {"recipe.epochs": EPOCHS, "teacher_recipe.epochs": 1, "train_limit": 400}
PLAN = {"budget": f"{2 * EPOCHS}epochs", "track": "budget", "max_concurrent": 1, "settings": SMALL}


class AtTheEnd(Progress):
    """Does something at the first trial's last report, while its worker waits for the driver to have heard it."""

    def __init__(self, act) -> None:
        self._act = act

    def event(self, event: Event) -> None:
        if isinstance(event, EpochReport) and event.epoch == EPOCHS and event.trial_id.endswith("-0000"):
            self._act()


def kill_the_worker() -> None:
    for child in psutil.Process().children(recursive=True):
        if child.name().startswith("ray::ImplicitFunc"):
            child.kill()


def interrupt_the_driver() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def check(store, cause: str) -> None:
    """Both trials have their epochs, nobody's twice, and what the second attempt used is on record."""
    run, trials, reports, nodes = store.runs().iloc[0], store.trials(), store.reports(), store.nodes()
    assert (run.status, run.spent) == ("completed", 2 * EPOCHS)
    assert not reports.duplicated(["trial_id", "epoch"]).any()
    assert len(reports) == 2 * EPOCHS
    died, ended, other = (row for _, row in trials.sort_values(["index", "attempt"]).iterrows())
    assert [row.status for row in (died, ended, other)] == [cause, "completed", "completed"]
    assert [row.epochs for row in (died, ended, other)] == [EPOCHS, 0, EPOCHS]
    chosen = ["checkpoint_epoch", "val_score", "val_loss"]
    assert ended[chosen].tolist() == died[chosen].tolist()
    assert trials.test_score.notna().tolist() == [False, True, True]
    assert store.incumbent(run.run_id) in {ended.trial_id, other.trial_id}
    assert ended.energy_j > 0, "loading data and teacher cost something"
    metered = trials.energy_j.sum() + trials.energy_test_j.sum() + run.shared_energy_j
    assert nodes.energy_trials_j.sum() == pytest.approx(metered, rel=1e-9)
    assert store.verify() == []


def test_a_worker_that_dies_after_its_last_report_leaves_nothing_to_say(ray_running, cache, tmp_path):
    outcome = tune_kd.run("asha", store=tmp_path / "runs", cache=cache, progress=AtTheEnd(kill_the_worker), **PLAN)
    check(outcome.store, "failed")


def test_a_driver_that_dies_after_a_last_report_leaves_nothing_to_say(ray_running, cache, tmp_path):
    where = {"store": tmp_path / "runs", "cache": cache}
    with pytest.raises(Interrupted):
        tune_kd.run("asha", progress=AtTheEnd(interrupt_the_driver), **where, **PLAN)
    check(tune_kd.resume(max_concurrent=1, **where).store, "lost")
