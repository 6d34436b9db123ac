"""The driver of a large cluster, without the cluster: a study of 50 runs on 500 simulated GPUs.

    python benchmarks/cluster_scale.py [--trials 10000] [--gpus 500] [--epochs 5] [--folder DIR]

The study has 40 runs of one trial and 10 of many, which share the pool. What is real: pool, runs, searchers, ledgers,
recorders, journals with their fsync, progress, and the store. What is simulated: the GPUs, their meters, and Ray.
Durations and powers are drawn from recorded epochs, a hundredth of the epochs kill their worker, and the clock is
passed in, so that a cluster's time takes what its driver needs for it.
Limits: at least 200 reports a second, at most 2 GiB, ledgers that agree with a second account, and 95 % of the GPUs
busy until the last wave.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import resource
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from simulated_cluster import Clock, GPUs, SimulatedNodes, on_no_ray, runs_on

from tune_kd.budget.amount import Budget
from tune_kd.execution.outputs_in_use import OutputsInUse
from tune_kd.execution.pool import Pool
from tune_kd.history.records import RunRow
from tune_kd.planning.plan import Study, plan_study
from tune_kd.progress.displays import LineProgress
from tune_kd.store import create_store


def planned(trials: int, epochs: int) -> Study:
    """40 runs of one trial and 10 that share the other trials, none of which asks a teacher."""
    settings = {"recipe.epochs": epochs, "loss": "ce"}
    study = plan_study(policies=["fixed", "random"], replicates=1, budget="1e9kWh", track="budget", settings=settings)
    single, many = study.runs
    each = (trials - 40) // 10
    limits = [1] * 40 + [each] * 10
    runs = [
        replace(
            single if limit == 1 else many,
            run_id=f"{study.study_id}-{index:02d}",
            replicate=index,
            budget=Budget(currency="trials", limit=limit),
            track="budget",
        )
        for index, limit in enumerate(limits)
    ]
    return replace(study, runs=tuple(runs))


def simulate(folder: Path, *, trials: int, gpus: int, epochs: int) -> None:
    """Run, measure, print. Raises AssertionError where a figure misses its limit or the accounts differ."""
    study = planned(trials, epochs)
    store, clock, nodes = create_store(folder / "runs"), Clock(), SimulatedNodes(gpus)
    part = on_no_ray(study, nodes, folder)
    with Path(os.devnull).open("w") as nowhere, OutputsInUse(folder / "cache", print) as uses:
        progress = LineProgress(nowhere, clock)
        progress.study_started([study], store.location)
        rows = {
            plan.run_id: RunRow({"run_id": plan.run_id, "policy": plan.label, "scenario": plan.scenario.name})
            for plan in study.runs
        }
        runs = runs_on(part, rows, store, uses, folder, progress)
        pool = Pool(runs, part.study.room)
        cluster = GPUs(pool=pool, nodes=nodes, clock=clock, count=gpus, epochs=epochs, chance=random.Random(0))
        begun, cpu_before_s, slowest = time.perf_counter(), time.process_time(), math.inf
        mark = (0, begun, cpu_before_s)
        for reports in cluster.run():
            if reports - mark[0] >= 5_000:
                now = (reports, time.perf_counter(), time.process_time())
                rate, cpu_rate = (5_000 / (after - before) for before, after in zip(mark[1:], now[1:], strict=True))
                slowest, mark = min(slowest, rate), now
                print(f"{reports:8d} reports, {rate:6.0f} a second, {cpu_rate:6.0f} a CPU second", flush=True)
            if clock.now_s <= cluster.last_start_s:
                busy = cluster.busy_s / (gpus * clock.now_s) if clock.now_s else 1.0
        pool.close()
        elapsed_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_before_s
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sealed = store.trials(["trial_id", "attempt", "status", "energy_j"])
    expected, rate = math.fsum(cluster.charged), cluster.reports / elapsed_s
    print(
        f"{len(runs)} runs, {trials} trials on {gpus} GPUs, {cluster.reports} reports, {cluster.killed} killed workers"
    )
    print(f"cluster time {clock.now_s:.0f} s, driver {elapsed_s:.0f} s of which {cpu_s:.0f} s CPU")
    print(f"GPUs busy until the last trial began: {100 * busy:.1f} % (at least 95)")
    of_many = f", the slowest 5000 at {slowest:.0f}" if math.isfinite(slowest) else ""
    print(f"{rate:.0f} reports a second{of_many} (at least 200)")
    print(f"most memory held {held:.2f} GiB (at most 2)")
    print(f"second account {expected:.6f} J, store {math.fsum(sealed.energy_j):.6f} J")
    assert expected == math.fsum(sealed.energy_j)
    assert {run.status for run in runs} == {"completed"}
    assert len(sealed) == trials + cluster.killed
    assert (sealed.status == "completed").sum() == trials
    assert cluster.reports == trials * epochs
    assert rate >= 200, "too slow"
    assert held <= 2, "too much memory"
    assert busy >= 0.95, "GPUs were idle"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--gpus", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to put the store; by default a temporary folder")
    given = parser.parse_args()
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="cluster-scale-", dir=given.folder))
    try:
        simulate(folder, trials=given.trials, gpus=given.gpus, epochs=given.epochs)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
