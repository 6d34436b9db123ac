"""Real runs on images made out of the teacher: who pays for them, and that it changes no result who does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import tune_kd
from analysis.runs.reading import read
from tune_kd.config.scenario import load_scenario
from tune_kd.errors import InputError, Interrupted, RunFailed
from tune_kd.events import EpochReport
from tune_kd.execution.ray_study import _for_trials
from tune_kd.history.rerun import rerun
from tune_kd.progress.base import Progress
from tune_kd.store import open_store
from tune_kd.tasks.catalogue import task_of

pytestmark = pytest.mark.slow

ENTRY_POINT = str(Path(sys.executable).with_name("tune-kd"))
SMALL = {
    "recipe.epochs": 2,
    "teacher_recipe.epochs": 1,
    "synthesis.images": 128,
    "synthesis.batch_size": 64,
    "synthesis.fast.steps": 2,
    "synthesis.fast.warmup": 1,
    "synthesis.fast.channels": 8,
}
POOL = ["pool_flops", "pool_s", "pool_energy_j", "pool_co2e_g"]


def test_a_pool_is_made_once_charged_once_and_changes_no_result(ray_running, cache, tmp_path):
    plan = {"scenario": "digits-data-free", "budget": "2trials", "settings": SMALL, "cache": cache}
    plan |= {"synthesis": "fast", "share_teacher": False}
    shared = tune_kd.compare(["grid", "random"], store=tmp_path / "shared", **plan).store
    alone = tune_kd.run("grid", share_synthesis=False, max_concurrent=1, store=tmp_path / "alone", **plan).store

    runs = shared.runs().set_index("policy")
    first, second = (shared.trials().query("run_id == @run_id") for run_id in runs.run_id[["grid", "random"]])
    own = alone.trials()
    for name in ("val_loss", "test_score"):
        pd.testing.assert_series_equal(first.set_index("index")[name], own.set_index("index")[name], check_exact=True)

    # Both runs name the same pool at its whole cost, and it is in no trial, no budget and no energy of theirs.
    assert runs.pool_id.nunique() == 1
    assert (runs[POOL].nunique() == 1).all()
    assert (runs[POOL] > 0).all(axis=None)
    assert (first.flops_synthesis == 0).all()
    assert (first.synthesis_s == 0).all()
    # Where each trial makes its images itself, it pays what the pool took, to the FLOP.
    assert alone.runs()[["pool_id", *POOL]].isna().all(axis=None)
    assert (own.flops_synthesis == runs.pool_flops["grid"]).all()
    assert (own.flops_executed - own.flops_synthesis == first.flops_executed.to_numpy()).all()
    assert (own.synthesis_s > 0).all()

    nodes = shared.nodes().set_index("run_id").energy_trials_j[runs.run_id[["grid", "random"]]]
    spent = [trials.energy_j.sum() + trials.energy_test_j.sum() for trials in (first, second)]
    assert nodes.sum() == pytest.approx(sum(spent) + runs.pool_energy_j["grid"], rel=1e-9)
    whole = alone.nodes().energy_trials_j.sum()
    assert whole == pytest.approx(own.energy_j.sum() + own.energy_test_j.sum(), rel=1e-9)
    assert not (cache / "pools" / "of-trials" / alone.runs().run_id.item()).exists()

    outcomes = read(shared).outcomes
    assert (outcomes.energy_j_with_images - outcomes.energy_j).tolist() == pytest.approx(runs.pool_energy_j.tolist())
    examples = json.loads(runs.pool_examples_json["grid"])
    assert examples["classes"] == [str(digit) for digit in range(10)]
    assert rerun(first.trial_id.iloc[0], store=shared, cache=cache).differences == ()


class Impatient(Progress):
    """Presses Ctrl-C at the first report."""

    def event(self, event):
        if isinstance(event, EpochReport):
            raise KeyboardInterrupt


def test_a_resumed_run_goes_on_to_make_images_in_each_trial(ray_running, cache, tmp_path):
    where = {"store": tmp_path / "runs", "cache": cache}
    with pytest.raises(Interrupted):
        tune_kd.run(
            "random",
            scenario="digits-data-free",
            synthesis="noise",
            budget="2trials",
            settings=SMALL,
            share_synthesis=False,
            max_concurrent=1,
            progress=Impatient(),
            **where,
        )
    until_s = time.monotonic() + 240
    while ray_running.available_resources().get("CPU") != ray_running.cluster_resources()["CPU"]:
        assert time.monotonic() < until_s, "a worker of the interrupted study keeps its CPU"
        time.sleep(0.1)
    store = tune_kd.resume(max_concurrent=1, **where).store
    trials = store.trials().query("status == 'completed'")
    assert len(trials) == 2
    assert (store.reports().groupby("trial_id").flops_synthesis.max() > 0).all()
    assert store.runs().pool_id.isna().all()


def test_images_made_against_the_student_are_its_trials_own(ray_running, cache, tmp_path):
    store = tune_kd.run(
        "random",
        scenario="digits-data-free",
        synthesis="fast",
        budget="2trials",
        settings={**SMALL, "synthesis.fast.adversarial": 1.1},
        max_concurrent=1,
        store=tmp_path / "runs",
        cache=cache,
    ).store
    run, trials = store.runs().iloc[0], store.trials()
    assert pd.isna(run.pool_id)
    assert (trials.flops_synthesis > 0).all()
    whole = trials.energy_j.sum() + trials.energy_test_j.sum()
    assert store.nodes().energy_trials_j.sum() == pytest.approx(whole, rel=1e-9)
    another = Path(cache) / "pools" / "of-trials" / "rerun" / trials.trial_id.iloc[0] / "state.pt"
    another.parent.mkdir(parents=True)
    another.touch()
    assert rerun(trials.trial_id.iloc[1], store=store, cache=cache).differences == ()
    assert list(another.parents[1].rglob("*.pt")) == [another], "that of a trial that another command trains again"


def test_no_trial_is_given_a_training_image(cache):
    scenario = load_scenario("digits-data-free")
    data = task_of(scenario).load(scenario, cache)
    seen = _for_trials(scenario, data)
    assert len(seen.train) == 0
    assert len(seen.test) == 0
    assert len(seen.validation) == len(data.validation)


def test_validation_without_real_images_is_on_the_pool_and_says_so_in_the_record(ray_running, cache, tmp_path):
    store = tune_kd.run(
        "fixed",
        scenario="digits-data-free",
        synthesis="noise",
        validation="synthetic",
        settings={**SMALL, "synthesis.validation_fraction": 0.25},
        store=tmp_path / "runs",
        cache=cache,
    ).store
    run = store.runs().iloc[0]
    assert run.val_images == 32
    assert pd.isna(run.val_prevalence)
    assert json.loads(run.scenario_json)["synthesis"]["validation"] == "synthetic"
    assert store.trials().test_score.notna().all()


def test_images_survive_the_death_of_the_driver_and_are_not_made_again(ray_running, cache, tmp_path):
    """The driver is killed in the middle of the synthesis, with all that it has started."""
    sets = {**SMALL, "synthesis.images": 256, "synthesis.batch_size": 32, "synthesis.deep_inversion.steps": 20}
    words = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    where = ["--store", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    command = [ENTRY_POINT, "run", "--policy", "fixed", "--scenario", "digits-data-free", *words, *where]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True) as run:
        while not (first := list((tmp_path / "cache").glob("pools/*/00001.pt"))):
            assert run.poll() is None, "it ended before there were images"
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGKILL)
    written_ns = first[0].stat().st_mtime_ns
    assert not list(first[0].parent.glob("00007.pt")), "it was killed before the end"

    resumed = subprocess.run([ENTRY_POINT, "resume", *where], capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert first[0].stat().st_mtime_ns == written_ns
    undisturbed = tune_kd.run(
        "fixed", scenario="digits-data-free", settings=sets, store=tmp_path / "whole", cache=cache
    ).store
    stores = (open_store(tmp_path / "runs"), undisturbed)
    found, expected = (store.runs().iloc[0] for store in stores)
    assert (found.pool_id, found.pool_flops) == (expected.pool_id, expected.pool_flops)
    results = [store.trials()[["val_loss", "test_score"]].to_numpy().tolist() for store in stores]
    assert results[0] == results[1]


def test_a_synthesis_that_diverges_fails_the_run_with_its_reason_and_its_cost(ray_running, cache, tmp_path):
    settings = {**SMALL, "synthesis.fast.batch_norm": 1e39}
    for shared in (True, False):
        with pytest.raises(RunFailed, match="synthesis of images by 'fast' diverged in batch 1 of 3"):
            tune_kd.run(
                "fixed",
                scenario="digits-data-free",
                synthesis="fast",
                settings=settings,
                share_synthesis=shared,
                store=tmp_path / f"shared-{shared}",
                cache=cache,
            )
        store = open_store(tmp_path / f"shared-{shared}")
        run, trials = store.runs().iloc[0], store.trials()
        assert run.status == "failed"
        assert "diverged" in run.error
        if shared:
            assert run.pool_flops > 0
            assert run.pool_energy_j > 0
            assert trials.empty
        else:
            assert (trials.status == "failed").all()
            assert (trials.energy_j > 0).all()


def test_every_kind_of_policy_runs_on_synthesised_images(ray_running, cache, tmp_path):
    outcome = tune_kd.compare(
        ["student", "tpe", "annealing", "stochastic", "ctkd", "meta-kd", "asha"],
        scenario="digits-data-free",
        synthesis="deep-inversion",
        budget="2trials",
        settings={**SMALL, "recipe.epochs": 1, "synthesis.deep_inversion.steps": 2},
        store=tmp_path / "runs",
        cache=cache,
    )
    assert set(outcome.statuses.values()) == {"completed"}


def test_settings_of_a_synthesis_that_nobody_asked_for_are_refused(tmp_path, cache):
    with pytest.raises(
        InputError, match=r"scenario 'digits' synthesises no images, so it has no synthesis\.validation"
    ):
        tune_kd.run("fixed", validation="synthetic", store=tmp_path / "runs", cache=cache)
