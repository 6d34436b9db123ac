"""Faults injected into real runs: nothing reported is lost, everything spent is charged, nothing runs twice."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest
from ray.exceptions import OutOfMemoryError

import tune_kd
from tune_kd import events
from tune_kd.meter.actor import NodeMeters
from tune_kd.progress.base import Progress

pytestmark = pytest.mark.slow

EPOCHS = 4
SMALL = {"recipe.epochs": EPOCHS, "teacher_recipe.epochs": 1}
RESULTS = ["index", "params_json", "seed", "val_score", "val_loss", "test_score"]


def training_workers() -> list[psutil.Process]:
    """The processes in which Ray trains, among the descendants of this one."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if child.name().startswith("ray::ImplicitFunc")]


class Killer(Progress):
    """Kills a training worker at the n-th report."""

    def __init__(self, report: int) -> None:
        self._left = report

    def event(self, event: events.Event) -> None:
        if isinstance(event, events.EpochReport):
            self._left -= 1
            if self._left == 0:
                random.choice(training_workers()).kill()


@pytest.fixture(scope="module")
def undisturbed(ray_running, cache, tmp_path_factory):
    store = tmp_path_factory.mktemp("undisturbed") / "runs"
    return tune_kd.run("tpe", budget="4trials", settings=SMALL, store=store, cache=cache, max_concurrent=1).store


def last_attempts(store: tune_kd.store.Store) -> pd.DataFrame:
    return store.trials().groupby("trial_id").last().sort_values("index")[RESULTS].reset_index(drop=True)


def test_a_killed_worker_costs_a_retry_and_changes_no_result(undisturbed, cache, tmp_path):
    report = random.randrange(1, 4 * EPOCHS - 2)
    print(f"killing a worker at report {report}")
    # One job at a time: the worker is the one that trains, and not one that tests an ended trial.
    outcome = tune_kd.run(
        "tpe",
        budget="4trials",
        settings=SMALL,
        store=tmp_path / "runs",
        cache=cache,
        max_concurrent=1,
        progress=Killer(report),
    )
    trials, run = outcome.store.trials(), outcome.store.runs().iloc[0]
    assert run.status == "completed"
    assert run.spent == 4
    assert trials[trials.status == "failed"].attempt.tolist() == [0]
    assert (trials[trials.status == "failed"].error.str.len() > 0).all()
    assert (trials[trials.status == "completed"].trial_id.nunique()) == 4
    pd.testing.assert_frame_equal(last_attempts(outcome.store), last_attempts(undisturbed))
    epochs = outcome.store.reports().groupby("trial_id").epoch
    assert (epochs.nunique() == EPOCHS).all()
    assert (epochs.size() == EPOCHS).all(), "an attempt goes on from its checkpoint: no epoch is reported twice"
    nodes = outcome.store.nodes().iloc[0]
    metered = trials.energy_j.sum() + trials.energy_test_j.sum() + run.shared_energy_j
    assert nodes.energy_trials_j == pytest.approx(metered, rel=1e-9), "what the killed attempt spent is charged"


class Ended(Progress):
    """Counts the trials that have ended."""

    count = 0

    def event(self, event: events.Event) -> None:
        self.count += isinstance(event, events.TrialEnded)


def test_where_tune_itself_breaks_off_no_run_has_ended_and_resume_goes_on(undisturbed, cache, tmp_path, monkeypatch):
    """Tune raises at what it does not expect, such as a worker that Ray has killed as the node ran out of memory."""
    progress, keep_up = Ended(), NodeMeters.keep_up

    def breaks_off(meters: NodeMeters) -> None:
        if progress.count == 2:
            raise RuntimeError("Caught unexpected exception") from OutOfMemoryError("1 worker was killed")
        keep_up(meters)

    monkeypatch.setattr(NodeMeters, "keep_up", breaks_off)
    how = {"store": tmp_path / "runs", "cache": cache, "max_concurrent": 1}
    with pytest.raises(RuntimeError, match="Caught unexpected exception"):
        tune_kd.run("tpe", budget="4trials", settings=SMALL, progress=progress, **how)
    monkeypatch.undo()
    left = tune_kd.open_store(how["store"])
    assert left.runs().status.tolist() == ["running"]
    assert (left.trials().status == "completed").sum() == 2
    resumed = tune_kd.resume(**how).store
    assert resumed.runs().status.tolist() == ["completed"]
    pd.testing.assert_frame_equal(last_attempts(resumed), last_attempts(undisturbed))


STUDY = re.compile(r"tune-kd resume (\S+)")


def driver(store, cache, *words: str) -> subprocess.Popen:
    """A real `tune-kd compare`, in a process of its own."""
    command = [Path(sys.executable).with_name("tune-kd"), "compare", "--policies", "grid,tpe", "--budget", "3trials"]
    sets = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    return subprocess.Popen(
        [*command, *sets, "--store", str(store), "--cache", str(cache), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=store.parent,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


@pytest.fixture(scope="module")
def whole(ray_running, cache, tmp_path_factory):
    place = tmp_path_factory.mktemp("whole") / "runs"
    plan = {"budget": "3trials", "settings": SMALL, "store": place, "cache": cache, "max_concurrent": 1}
    return tune_kd.compare(["grid", "tpe"], **plan).store


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_driver_is_resumed_without_running_anything_twice(whole, cache, tmp_path, how):
    process, store = driver(tmp_path / "runs", cache), tmp_path / "runs"
    line = random.randrange(1, 5)
    print(f"{how.name} after line {line} about a trial")
    with process:
        for text in process.stdout:
            line -= "trial " in text
            if line == 0:
                process.send_signal(how)
                line = -1
    assert process.returncode == {signal.SIGINT: 130, signal.SIGKILL: -9}[how]
    before = tune_kd.open_store(store)
    before.seal_orphans()
    finished = before.trials().query("status == 'completed'")
    assert len(finished) >= 1
    resumed = tune_kd.resume(store=store, cache=cache, max_concurrent=1)
    runs, trials = resumed.store.runs(), resumed.store.trials()
    assert set(runs.status) == {"completed"}
    assert (runs.spent == 3).all()
    completed = trials[trials.status == "completed"]
    assert completed.trial_id.is_unique
    assert len(completed) == 6
    again = completed.set_index("trial_id").loc[finished.trial_id]
    assert (again.started_at == finished.set_index("trial_id").started_at).all(), "what had finished was run again"
    assert not resumed.store.reports().duplicated(["trial_id", "epoch"]).any()
    expected = whole.trials().merge(whole.runs()[["run_id", "policy"]])
    found = completed.merge(runs[["run_id", "policy"]])
    by = ["policy", "index"]
    columns = [*by, *RESULTS[1:]]
    pd.testing.assert_frame_equal(
        found.sort_values(by)[columns].reset_index(drop=True),
        expected.sort_values(by)[columns].reset_index(drop=True),
    )
    assert json.loads(runs.scenario_json[0])["recipe"]["epochs"] == EPOCHS
