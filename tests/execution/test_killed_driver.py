"""A study whose driver is killed again and again, at any write, ends with the records of one that was left alone.

The driver's side is real: pool, runs, searchers, ledgers, journals, store. The workers are simulated.
"""

from __future__ import annotations

import multiprocessing
import os
import random
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from simulated_cluster import Clock, GPUs, SimulatedNodes, on_no_ray, runs_on

from tune_kd.config.scenario import load_scenario
from tune_kd.execution.outputs_in_use import OutputsInUse
from tune_kd.execution.pool import Pool
from tune_kd.history.records import RunRow, run_rows
from tune_kd.history.unfinished import UNFINISHED
from tune_kd.planning.plan import Study, plan_study
from tune_kd.progress.base import Progress
from tune_kd.store import create_store, open_store
from tune_kd.store.ids import run_id
from tune_kd.tasks.classification import Classification

PRELOADED = ["tune_kd.api.studies", "tune_kd.execution.run", "tune_kd.execution.tuner", "optuna", "sklearn.datasets"]

pytestmark = pytest.mark.slow

EPOCHS, KILLS, GPU_COUNT = 3, 30, 3
POLICIES = ["grid", "tpe", "stochastic", "random", "fixed"]
RESULTS = ["run_id", "index", "params_json", "seed", "val_score", "test_score"]


def planned() -> Study:
    study = plan_study(
        policies=POLICIES, replicates=2, budget="6trials", settings={"recipe.epochs": EPOCHS, "loss": "ce"}
    )
    runs = (replace(plan, study_id="s", run_id=run_id("s", plan.label, plan.replicate)) for plan in study.runs)
    return Study(study_id="s", name="compare", runs=tuple(runs))


def drive(folder: Path, dies_at: int | None, seed: int) -> None:
    """Begin the study, or go on with what is left of it; the process dies at its write number ``dies_at``."""
    study = planned()
    if not (folder / "runs").exists():
        store = create_store(folder / "runs")
        data = Classification().load(load_scenario("digits"), folder)
        for plan in study.runs:
            RunRow.planned(study, plan, data).write(store)
    store = open_store(folder / "runs")
    _die_at(dies_at)
    store.seal_orphans()
    left = {row.run_id: row for row in run_rows(store.runs()) if row.columns["status"] in UNFINISHED}
    nodes = SimulatedNodes(GPU_COUNT)
    part = on_no_ray(study, nodes, folder)
    with OutputsInUse(folder / "outputs", print) as uses:
        # A worker that is killed fails its trial, and a trial may fail in the hands of each driver.
        runs = runs_on(part, left, store, uses, folder, Progress(), max_failures=KILLS)
        pool = Pool(runs, part.study.room)
        gpus = GPUs(pool=pool, nodes=nodes, clock=Clock(), count=GPU_COUNT, epochs=EPOCHS, chance=random.Random(seed))
        for _ in gpus.run():
            pass
        pool.close()


def _die_at(number: int | None) -> None:
    count = 0

    def fsync(_: int) -> None:  # the kernel keeps what a killed process has written: nothing waits for the disk
        nonlocal count
        count += 1
        if count == number:
            os._exit(9)

    os.fsync = fsync


def in_a_process(folder: Path, dies_at: int | None, seed: int) -> int | None:
    """How a process of its own that drives the study ends: 9 if it died. What is slow to import, it has already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=drive, args=(folder, dies_at, seed))
    process.start()
    process.join(300)
    return process.exitcode


def last_attempts(folder: Path) -> pd.DataFrame:
    trials = open_store(folder / "runs").trials().sort_values(["trial_id", "attempt"])
    return trials.groupby("trial_id")[RESULTS].last()


def test_a_study_that_is_killed_thirty_times_ends_with_the_records_of_one_that_was_left_alone(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    assert in_a_process(whole, None, 0) == 0
    deaths = sum(in_a_process(killed, chance.randint(1, 25), chance.randrange(2**32)) == 9 for _ in range(KILLS))
    assert deaths > KILLS / 2, "the driver was hardly ever killed"
    assert in_a_process(killed, None, 1) == 0

    store = open_store(killed / "runs")
    assert store.verify() == []
    runs = store.runs()
    assert set(runs.status) == {"completed"}
    assert (
        runs.set_index("run_id").spent.to_dict()
        == open_store(whole / "runs").runs().set_index("run_id").spent.to_dict()
    )
    pd.testing.assert_frame_equal(last_attempts(killed), last_attempts(whole), check_exact=True)
    reports = store.reports()
    assert not reports.duplicated(["trial_id", "epoch"]).any(), "what was reported is not trained again"
    assert set(reports.epoch) == {*range(1, EPOCHS + 1)}
    assert (reports.groupby("trial_id").epoch.nunique() == EPOCHS).all()
