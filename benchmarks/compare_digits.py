"""The speed of the main job on this machine: `compare` with all five policies, one replicate, on digits.

Promises (2 cores): at most 2 minutes of wall time; training, summed over trials, at least 40 % of what the cores
could have given in that time; a trial at most 0.3 s beyond its training once its worker is warm; `tune-kd --help`
in at most 0.5 s.

    python benchmarks/compare_digits.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

import tune_kd

TUNE_KD = Path(sys.executable).with_name("tune-kd")
POLICIES = "grid,random,tpe,annealing,stochastic"


def seconds(*words: str) -> float:
    """Wall time of a command, from its start to its exit."""
    started = time.perf_counter()
    subprocess.run([TUNE_KD, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def beyond_training_s(trials: pd.DataFrame) -> float:
    """What a trial of a run costs beyond its training: from its start to the next one's on that worker, less train_s.

    The first trial on each worker, which loads torch, is left out.
    """
    workers = os.cpu_count() or 1
    warm = trials.sort_values("started_at").iloc[workers:]
    busy = (warm.ended_at - warm.started_at).dt.total_seconds() - warm.train_s
    ends, starts = warm.ended_at.sort_values().iloc[:-workers], warm.started_at.iloc[workers:]
    idle = (starts.reset_index(drop=True) - ends.reset_index(drop=True)).dt.total_seconds()
    return busy.mean() + idle.mean()


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "runs"
        words = ["compare", "--policies", POLICIES, "--budget", "20trials", "--store", str(store)]
        wall_s = seconds(*words, "--cache", str(Path(folder) / "cache"), "--quiet")
        opened = tune_kd.open_store(store)
        train_s = opened.trials().train_s.sum()
        share = train_s / (wall_s * os.cpu_count())
        print(f"compare, five policies, teacher included: {wall_s:.1f} s (promise ≤ 120 on 2 cores)")
        print(f"training {train_s:.1f} s of {os.cpu_count()} × {wall_s:.1f} s: {share:.0%} (promise ≥ 40 %)")
        searched = opened.trials().groupby("run_id").filter(lambda run: len(run) > 10)
        beyond = statistics.mean(beyond_training_s(run) for _, run in searched.groupby("run_id"))
        print(f"a trial beyond its training, once warm: {beyond:.2f} s (promise ≤ 0.3)")
    print(f"tune-kd --help: {statistics.median(seconds('--help') for _ in range(5)):.2f} s (promise ≤ 0.5)")


if __name__ == "__main__":
    main()
