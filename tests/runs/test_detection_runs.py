"""Object detection by the command line: its scores are mAP wherever they are, and an interruption changes none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tune_kd
from tune_kd.store import open_store

pytestmark = pytest.mark.slow

ENTRY_POINT = str(Path(sys.executable).with_name("tune-kd"))
SMALL: dict[str, Any] = {"train_limit": 60, "test_limit": 20, "recipe.epochs": 1, "teacher_recipe.epochs": 1}


def command(folder: Path, *arguments: str) -> str:
    """What the command says, on both of its outputs; it must succeed."""
    environment = {**os.environ, "TUNE_KD_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [ENTRY_POINT, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("detection")


@pytest.fixture(scope="module")
def compared(folder: Path) -> str:
    """What a comparison of two policies in two replicates says; its records are in ``folder``/runs."""
    sets = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    options = ["--policies", "student,fixed:tau=1", "--replicates", "2", "--max-concurrent", "1", *sets]
    return command(folder, "compare", "--scenario", "digit-scenes", *options)


def test_the_records_of_a_comparison_are_of_detection_and_its_scores_map(compared: str, folder: Path) -> None:
    store = open_store(folder / "runs")
    runs, trials = store.runs(), store.trials()
    assert set(runs["status"]) == {"completed"}
    assert set(zip(runs["task"], runs["metric"], strict=True)) == {("detection", "mAP")}
    assert set(trials["metric"]) == {"mAP"}
    assert trials["test_score"].between(0, 1).all()
    assert trials["val_score"].between(0, 1).all()
    assert trials[["val_accuracy", "test_accuracy"]].isna().all(axis=None)
    assert (trials["flops_teacher"] > 0).sum() + (runs["shared_flops"] > 0).sum() > 0, "the teacher was asked"


def test_what_a_comparison_a_report_and_listings_say_is_map_and_nowhere_accuracy(compared: str, folder: Path) -> None:
    command(folder, "report", "runs", "--html", "report.html")
    run = open_store(folder / "runs").runs()["run_id"].iloc[0]
    said = {
        "compare": compared,
        "report": command(folder, "report", "runs"),
        "page": (folder / "report.html").read_text(encoding="utf-8"),
        "list": command(folder, "list", "runs", "--store", "runs"),
        "run": command(folder, "store", "show", run, "--store", "runs"),
    }
    for where, text in said.items():
        assert "mAP" in text, where
        kept = [line for line in text.lower().splitlines() if "accura" in line]
        assert kept == [], where
    assert "test mAP %" in said["compare"]
    assert "val mAP " in said["compare"]


CHOSEN: dict[str, Any] = {
    "policy": "grid",
    "scenario": "digit-scenes",
    "space": "tau-from-1",
    "budget": "2trials",
    "max_concurrent": 1,
    "settings": {**SMALL, "recipe.epochs": 2},
}
KILLED = """
import json, os, signal, sys
import tune_kd
from tune_kd.events import EpochReport
from tune_kd.progress.base import Progress

class Killed(Progress):
    def event(self, event):
        if isinstance(event, EpochReport) and event.trial_id.endswith("-0001"):
            os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    tune_kd.run(**json.loads(sys.argv[1]), store=sys.argv[2], cache=sys.argv[3], progress=Killed())
"""
RESULTS = ["index", "params_json", "seed", "val_score", "val_loss", "test_score", "test_metrics_json"]


def test_a_driver_that_is_killed_in_the_middle_of_a_trial_is_resumed_to_the_same_results(
    ray_running: Any, cache: Path, tmp_path: Path
) -> None:
    """It dies at the first of the two reports of its second trial."""
    whole = tune_kd.run(**CHOSEN, store=tmp_path / "whole", cache=cache).store
    (tmp_path / "driver.py").write_text(KILLED, encoding="utf-8")
    driver = [sys.executable, "driver.py", json.dumps(CHOSEN), str(tmp_path / "killed"), str(cache)]
    assert subprocess.run(driver, cwd=tmp_path, capture_output=True, check=False).returncode == -signal.SIGKILL
    before = open_store(tmp_path / "killed")
    before.seal_orphans()
    assert before.trials().set_index("index")["status"].to_dict() == {0: "completed", 1: "lost"}
    resumed = tune_kd.resume(store=tmp_path / "killed", cache=cache).store
    assert set(resumed.runs()["status"]) == {"completed"}
    assert not resumed.reports().duplicated(["trial_id", "epoch"]).any(), "an attempt goes on from its checkpoint"
    found, expected = (
        trials[trials["status"] == "completed"].sort_values("index")[RESULTS].reset_index(drop=True)
        for trials in (resumed.trials(), whole.trials())
    )
    pd.testing.assert_frame_equal(found, expected)
