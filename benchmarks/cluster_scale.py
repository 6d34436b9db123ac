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
import heapq
import itertools
import math
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tune_kd.budget.amount import Budget
from tune_kd.cluster.session import Resources
from tune_kd.events import EpochReport, Event, to_json, utc_now
from tune_kd.execution.outputs_in_use import OutputsInUse
from tune_kd.execution.pool import Pool
from tune_kd.execution.ray_study import RayPart, RayStudy
from tune_kd.execution.run import Run
from tune_kd.execution.teachers import Teachers
from tune_kd.execution.tune import PoolListener, PoolSearcher, PoolStopper
from tune_kd.history.records import RunRow
from tune_kd.meter.actor import NodeEnergy
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.client import account
from tune_kd.meter.energy import Energy
from tune_kd.meter.node import TrialEnergy
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study, plan_study
from tune_kd.progress.displays import LineProgress
from tune_kd.storage.cache import Cache
from tune_kd.store import create_store

# Seconds and watts of epochs of the digits scenario, from the store of a real run: two trials at a time on two busy
# cores, by the power model.
RECORDED = (
    *((0.08, 7.8), (0.13, 6.8), (0.14, 6.8), (0.23, 6.1), (0.20, 6.0), (0.18, 6.7), (0.35, 5.7), (0.57, 5.3)),
    *((0.39, 5.8), (0.48, 5.0), (0.36, 5.8), (0.42, 4.9), (0.45, 5.6), (0.29, 6.3), (0.21, 6.1), (0.09, 7.5)),
)
KILLED = 0.01  # chosen: the chance that an epoch does so
GPUS_A_NODE = 8
CARBON = Carbon(intensity_g_per_kwh=475.0, source="benchmark", pue=1.0)
TESTED: dict[str, Any] = {
    **dict.fromkeys(("test_score", "precision_macro", "recall_macro", "specificity_macro", "f1_macro"), 0.9),
    **{"kappa": 0.9, "prevalence": 0.1, "confusion": [[9, 1], [1, 9]], "per_class": []},
    **{"inference_s": 0.1, "inference_energy_j": 0.5, "inference_co2e_g": 1e-4, "energy_test_j": 0.6},
}
NO_FIELDS = dict.fromkeys(EpochReport.__dataclass_fields__)


@dataclass
class Clock:
    """The simulated time."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


class SimulatedMeters:
    """What :class:`tune_kd.meter.actor.NodeMeters` would know of the nodes."""

    def __init__(self, nodes: int) -> None:
        self.accounts: list[dict[str, TrialEnergy]] = [{} for _ in range(nodes)]
        self._known = {
            f"node-{index}": NodeEnergy(node_id=f"node-{index}", snapshot=None, trials=accounts, lost=None)
            for index, accounts in enumerate(self.accounts)
        }

    def close(self, node: int, name: str, joules: float) -> None:
        energy = Energy(cpu_j=0.0, gpu_j=joules, ram_j=0.0, idle_j=0.0, method="counter")
        self.accounts[node][name] = TrialEnergy(energy=energy, co_tenants=GPUS_A_NODE - 1, state="closed")

    def poll(self) -> Mapping[str, NodeEnergy]:
        return self._known

    def settle(self) -> Mapping[str, NodeEnergy]:
        return self._known

    def keep_up(self) -> None:
        """Nothing: its accounts are always there."""


class SimulatedNodes:
    """What :class:`tune_kd.cluster.nodes.Cluster` would know of the nodes."""

    machines: Mapping[str, Any] = {}
    marker = Path("no-marker")

    def __init__(self, gpus: int) -> None:
        self.meters, self._gpus = SimulatedMeters(-(-gpus // GPUS_A_NODE)), gpus

    def room(self) -> int:
        return self._gpus

    def watch(self, event: Event | None = None) -> None:
        """Nothing: no node comes."""

    def begin(self, run_id: str) -> None:
        """Nothing: nobody reads the nodes' totals."""

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        return []

    def end(self, run_id: str) -> list[dict[str, Any]]:
        return []

    def has_lost_one(self, run_id: str) -> bool:
        return False


class NoRay:
    """Ray's object store for a driver alone."""

    def put(self, value: Any) -> Any:
        return value


@dataclass(eq=False)
class SimulatedJob:
    """A job on a GPU: what Tune's own trial has of it, and what its worker knows."""

    trial_id: str
    config: dict[str, Any]
    gpu: int
    epoch: int = 0
    joules: float = 0.0  # of this attempt
    seconds: float = 0.0
    error_file: None = None

    @property
    def is_trial(self) -> bool:
        return bool(self.config["job"] == "trial")


@dataclass(kw_only=True)
class GPUs:
    """The GPUs, and Tune's part: it asks the pool for jobs and tells it what comes of them, in simulated time."""

    pool: Pool
    nodes: SimulatedNodes
    clock: Clock
    count: int
    epochs: int
    chance: random.Random
    reports: int = 0
    killed: int = 0
    busy_s: float = 0.0  # of all GPUs
    charged: list[float] = field(default_factory=list)  # a second account: what every attempt came to
    seen: set[tuple[str, int]] = field(default_factory=set)
    last_start_s: float = 0.0

    def __post_init__(self) -> None:
        self.searcher, self.stopper = PoolSearcher(self.pool), PoolStopper(self.pool)
        self.listener = PoolListener(self.pool, self.nodes.meters.keep_up)
        self._names, self._order = itertools.count(), itertools.count()
        self._due: list[tuple[float, int, SimulatedJob]] = []
        self._free = list(range(self.count))

    def run(self) -> Iterator[int]:
        """Go on to the end; yields after every report."""
        self._fill()
        while self._due:
            now_s, _, job = heapq.heappop(self._due)
            self.busy_s += (now_s - self.clock.now_s) * (len(self._due) + 1)
            self.clock.now_s = now_s
            yield self.reports
            if job.is_trial and self.chance.random() < KILLED:
                self._kill(job)
            elif self._tell(job):
                self._free.append(job.gpu)
                self.listener.on_step_begin(0, [])
                self._fill()
                continue
            self._schedule(job)

    def _fill(self) -> None:
        while self._free:
            name = f"tune-{next(self._names)}"
            config = self.searcher.suggest(name)
            if not isinstance(config, dict):
                return
            job = SimulatedJob(name, config, self._free.pop(), epoch=config.get("reported", 0))
            self.listener.on_trial_start(0, [], job)  # type: ignore[arg-type]
            self.last_start_s = self.clock.now_s if job.is_trial else self.last_start_s
            self._schedule(job)

    def _schedule(self, job: SimulatedJob) -> None:
        seconds, watts = self.chance.choice(RECORDED)
        job.seconds, job.joules = job.seconds + seconds, job.joules + seconds * watts
        heapq.heappush(self._due, (self.clock.now_s + seconds, next(self._order), job))

    def _tell(self, job: SimulatedJob) -> bool:
        """One result is told as Tune tells it; is the job over?"""
        result = self._reported(job) if job.is_trial else {"outcome": TESTED}
        stop = self.stopper(job.trial_id, result)
        if job.is_trial and not stop and job.epoch < self.epochs:
            return False
        self.stopper(job.trial_id, result)  # Tune gives a trial's last result twice
        if job.is_trial:
            self._close(job)
        self.listener.on_trial_complete(0, [], job)  # type: ignore[arg-type]
        return True

    def _reported(self, job: SimulatedJob) -> dict[str, Any]:
        job.epoch += 1
        self.reports += 1
        key = (job.config["trial_id"], job.epoch)
        assert key not in self.seen, "an epoch came twice"
        self.seen.add(key)
        told = self._told(job)
        return {"report": to_json(told), "val_score": told.val_score, "epoch": told.epoch}

    def _kill(self, job: SimulatedJob) -> None:
        self.killed += 1
        self._close(job)
        self.listener.on_trial_recover(0, [], job)  # type: ignore[arg-type]
        job.joules = job.seconds = 0.0
        self.listener.on_trial_start(0, [], job)  # type: ignore[arg-type]

    def _close(self, job: SimulatedJob) -> None:
        self.charged.append(job.joules)
        name = account(job.config["trial_id"], job.config["attempt"])
        self.nodes.meters.close(job.gpu // GPUS_A_NODE, name, job.joules)

    def _told(self, job: SimulatedJob) -> EpochReport:
        known = {
            "run_id": job.config["trial_id"].rpartition("-")[0],
            "trial_id": job.config["trial_id"],
            "attempt": job.config["attempt"],
            "at": utc_now(),
            "epoch": job.epoch,
            "checkpoint_epoch": job.epoch,
            "node_id": f"node-{job.gpu // GPUS_A_NODE}",
            "val_score": 0.9 + 0.01 * self.chance.random(),
            "train_loss": 1.0,
            "val_loss": 1.0,
            "energy_j": job.joules,
            "energy_gpu_j": job.joules,
            "energy_method": "counter",
            "co2e_g": CARBON.co2e_g(job.joules),
            "duration_s": job.seconds,
            "flops_executed": 10**9 * job.epoch,
        }
        return EpochReport(**{**NO_FIELDS, **known})  # type: ignore[arg-type]


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


def on_no_ray(study: Study, nodes: SimulatedNodes, folder: Path) -> RayPart:
    """The part of the study as it would lie on Ray, its values in place of references."""
    ray = NoRay()
    on_ray = RayStudy(
        ray=ray,
        resources=Resources(cpus=1, gpus=1),
        cluster=nodes,  # type: ignore[arg-type]
        cache=Cache(folder / "cache"),
        carbon=CARBON,
        tune_folder=folder,
        tasks=None,  # type: ignore[arg-type]
        teachers=Teachers(ray),
    )
    nothing: Any = None
    of_study = {"study": on_ray, "plans": study.runs, "images": None, "data": None, "steps": 1}
    return RayPart(**of_study, teacher_id="none", taught=False, counted=nothing, largest_class=(0.1, 1))


def simulate(folder: Path, *, trials: int, gpus: int, epochs: int) -> None:
    """Run, measure, print. Raises AssertionError where a figure misses its limit or the accounts differ."""
    study = planned(trials, epochs)
    store, clock, nodes = create_store(folder / "runs"), Clock(), SimulatedNodes(gpus)
    part = on_no_ray(study, nodes, folder)
    with Path(os.devnull).open("w") as nowhere, OutputsInUse(folder / "outputs", print) as uses:
        progress = LineProgress(nowhere, clock)
        progress.study_started([study], store.location)
        runs = [
            Run(
                plan,
                RunRow({"run_id": plan.run_id, "policy": plan.label, "scenario": plan.scenario.name, "replicate": 0}),
                store=store,
                part=part,
                uses=uses,
                execution=Execution(store=folder / "runs", cache=folder / "cache", share_teacher=False),
                progress=progress,
            )
            for plan in study.runs
        ]
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
