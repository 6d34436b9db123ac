"""The speed of the main job on this machine: `compare` with all five policies, one replicate, on digits.

Promises (2 cores): at most 2 minutes of wall time; training, summed over trials, at least 40 % of what the cores
could have given in that time; a trial at most 0.3 s beyond its training once its worker is warm; `tune-kd --help`
in at most 0.5 s.

    python benchmarks/compare_digits.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tune_kd

TUNE_KD = Path(sys.executable).with_name("tune-kd")
POLICIES = "grid,random,tpe,annealing,stochastic"


def seconds(*words: str) -> float:
    """Wall time of a command, from its start to its exit."""
    started = time.perf_counter()
    subprocess.run([TUNE_KD, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def beyond_training_s(store: tune_kd.store.Store) -> list[float]:
    """For each trial but the first on its worker: from its start to the next trial's start there, less training.

    Runs with at least three trials for each core; trials of a run start in the order of their index.
    """
    trials = store.trials().sort_values("started_at")
    overheads = []
    for _, run in trials.groupby("run_id"):
        if len(run) < 3 * os.cpu_count():
            continue
        busy_s = (run.ended_at.max() - run.started_at.min()).total_seconds() * min(os.cpu_count(), len(run))
        overheads.append((busy_s - run.train_s.sum()) / len(run))
    return overheads


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "runs"
        words = ["compare", "--policies", POLICIES, "--budget", "20trials", "--store", str(store)]
        wall_s = seconds(*words, "--cache", str(Path(folder) / "cache"), "--quiet")
        opened = tune_kd.open_store(store)
        train_s = opened.trials().train_s.sum()
        share = train_s / (wall_s * os.cpu_count())
        print(f"compare, five policies, teacher included: {wall_s:.1f} s (promise ≤ 120 on 2 cores)")
        print(f"training {train_s:.1f} s of {os.cpu_count()} × {wall_s:.1f} s: {share:.0%} (promise ≥ 40 %)")
        beyond = statistics.mean(beyond_training_s(opened))
        print(f"a trial beyond its training, once warm: {beyond:.2f} s (promise ≤ 0.3)")
    print(f"tune-kd --help: {statistics.median(seconds('--help') for _ in range(5)):.2f} s (promise ≤ 0.5)")


if __name__ == "__main__":
    main()
