"""A study's pool without a cluster: real runs, journals and store; simulated GPUs, meters and Ray.

Durations and powers are drawn from recorded epochs, some epochs kill their worker, and the clock is passed in, so that
a cluster's time takes what its driver needs for it. What a trial reaches is a function of its name and the epoch.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tune_kd.cluster.session import Resources
from tune_kd.events import EpochReport, Event, to_json, utc_now
from tune_kd.execution.outputs_in_use import OutputsInUse
from tune_kd.execution.pool import Pool
from tune_kd.execution.ray_study import RayPart, RayStudy
from tune_kd.execution.run import Run
from tune_kd.execution.side_by_side import JobSize
from tune_kd.execution.teachers import Teachers
from tune_kd.execution.tune import PoolListener, PoolSearcher, PoolStopper
from tune_kd.history.records import RunRow
from tune_kd.meter.actor import NodeEnergy
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.client import account
from tune_kd.meter.energy import Energy
from tune_kd.meter.node import TrialEnergy
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.storage.cache import Cache
from tune_kd.store import Store

# Seconds and watts of epochs of the digits scenario, from the store of a real run: two trials at a time on two busy
# cores, by the power model.
RECORDED = (
    *((0.08, 7.8), (0.13, 6.8), (0.14, 6.8), (0.23, 6.1), (0.20, 6.0), (0.18, 6.7), (0.35, 5.7), (0.57, 5.3)),
    *((0.39, 5.8), (0.48, 5.0), (0.36, 5.8), (0.42, 4.9), (0.45, 5.6), (0.29, 6.3), (0.21, 6.1), (0.09, 7.5)),
)
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

    @property
    def trial(self) -> dict[str, Any]:
        """What the job's worker knows of its trial."""
        known: dict[str, Any] = self.config["members"][0]
        return known


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

    killed_share: float = 0.01  # chosen: of the epochs, those that kill their worker

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
            if job.is_trial and self.chance.random() < self.killed_share:
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
            job = SimulatedJob(name, config, self._free.pop())
            job.epoch = job.trial["reported"] if job.is_trial else 0
            self.listener.on_trial_start(0, [], job)  # type: ignore[arg-type]
            self.last_start_s = self.clock.now_s if job.is_trial else self.last_start_s
            self._schedule(job)

    def _schedule(self, job: SimulatedJob) -> None:
        seconds, watts = self.chance.choice(RECORDED)
        job.seconds, job.joules = job.seconds + seconds, job.joules + seconds * watts
        heapq.heappush(self._due, (self.clock.now_s + seconds, next(self._order), job))

    def _tell(self, job: SimulatedJob) -> bool:
        """One result is told as Tune tells it; is the job over?"""
        result = self._reported(job) if job.is_trial else {"outcome": [TESTED]}
        stop = self.stopper(job.trial_id, result)
        if job.is_trial and not stop and job.epoch < self.epochs:
            return False
        self.stopper(job.trial_id, result)  # Tune gives a trial's last result twice
        if job.is_trial:
            self._close(job)
        self.listener.on_trial_complete(0, [], job)  # type: ignore[arg-type]
        return True

    def _reported(self, job: SimulatedJob) -> dict[str, Any]:
        if job.epoch == self.epochs:  # an earlier attempt has reported all of it
            return {"val_score": 0.0, "epoch": job.epoch}
        job.epoch += 1
        self.reports += 1
        key = (job.trial["trial_id"], job.epoch)
        assert key not in self.seen, "an epoch came twice"
        self.seen.add(key)
        told = self._told(job)
        return {"reports": [to_json(told)], "val_score": told.val_score, "epoch": told.epoch}

    def _kill(self, job: SimulatedJob) -> None:
        self.killed += 1
        self._close(job)
        self.listener.on_trial_recover(0, [], job)  # type: ignore[arg-type]
        job.joules = job.seconds = 0.0
        self.listener.on_trial_start(0, [], job)  # type: ignore[arg-type]

    def _close(self, job: SimulatedJob) -> None:
        self.charged.append(job.joules)
        name = account(job.trial["trial_id"], job.trial["attempt"])
        self.nodes.meters.close(job.gpu // GPUS_A_NODE, name, job.joules)

    def _told(self, job: SimulatedJob) -> EpochReport:
        known = {
            "run_id": job.trial["trial_id"].rpartition("-")[0],
            "trial_id": job.trial["trial_id"],
            "attempt": job.trial["attempt"],
            "at": utc_now(),
            "epoch": job.epoch,
            "checkpoint_epoch": job.epoch,
            "node_id": f"node-{job.gpu // GPUS_A_NODE}",
            "val_score": random.Random(f"{job.trial['trial_id']} {job.epoch}").random(),
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
    of_study: dict[str, Any] = {"study": on_ray, "plans": study.runs, "images": None, "data": None, "steps": 1}
    of_study |= {"job_size": JobSize(asked=1, stacking=None)}
    of_study |= {"teacher_id": "none", "classes": (), "data_sha256": "none"}
    return RayPart(**of_study, taught=False, counted=nothing, largest_class=(0.1, 1))


def runs_on(
    part: RayPart,
    rows: Mapping[str, RunRow],
    store: Store,
    uses: OutputsInUse,
    folder: Path,
    progress: Progress,
    max_failures: int = 1,
) -> list[Run]:
    """The runs of the part, in their order, which have ``rows``."""
    execution = Execution(store=folder / "runs", cache=folder / "cache", share_teacher=False, max_failures=max_failures)
    return [
        Run(plan, rows[plan.run_id], store=store, part=part, uses=uses, execution=execution, progress=progress)
        for plan in part.plans
        if plan.run_id in rows
    ]
