"""The driver of a large cluster, without the cluster: 10,000 trials on 500 simulated GPUs.

    python benchmarks/cluster_scale.py [--trials 10000] [--gpus 500] [--epochs 5] [--folder DIR]

What is real: searcher, ledger, stopper, recorder, journals with their fsync, progress, and the store. What is
simulated: the GPUs and their meters. Durations and powers are drawn from recorded epochs, a hundredth of the epochs
kill their worker, and the clock is passed in, so that a cluster's time takes what its driver needs for it.
Limits: at least 200 reports a second, at most 2 GiB, and a ledger that agrees with a second account.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import logging
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
from tune_kd.budget.ledger import Ledger
from tune_kd.events import EpochReport, to_json, utc_now
from tune_kd.execution.recorder import Recorder
from tune_kd.execution.tune import BudgetedSearcher, BudgetStopper, TuneEvents, TuneListener
from tune_kd.history.run_history import RunHistory
from tune_kd.meter.actor import NodeEnergy
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.client import account
from tune_kd.meter.energy import Energy
from tune_kd.meter.node import TrialEnergy
from tune_kd.planning.plan import RunPlan, Study, plan_study
from tune_kd.progress.displays import LineProgress
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


@dataclass(eq=False)
class SimulatedTrial:
    """A trial on a GPU: what Tune's own has of it, and what its worker knows."""

    trial_id: str
    config: dict[str, Any]
    gpu: int
    epoch: int
    joules: float = 0.0  # of this attempt
    seconds: float = 0.0
    error_file: None = None


@dataclass(kw_only=True)
class Cluster:
    """The GPUs, and Tune's part: it asks the searcher, and tells stopper and listener, in simulated time."""

    plan: RunPlan
    ledger: Ledger
    source: TuneEvents
    searcher: BudgetedSearcher
    stopper: BudgetStopper
    listener: TuneListener
    meters: SimulatedMeters
    clock: Clock
    gpus: int
    chance: random.Random
    reports: int = 0
    killed: int = 0
    charged: list[float] = field(default_factory=list)  # a second account: what every attempt came to
    seen: set[tuple[str, int]] = field(default_factory=set)

    def run(self) -> Iterator[int]:
        """Go on to the end; yields after every report."""
        names, due, order = itertools.count(), [], itertools.count()
        for gpu in range(self.gpus):
            self._next(gpu, due, names, order)
        while due:
            self.clock.now_s, _, trial = heapq.heappop(due)
            yield self.reports
            if self.chance.random() < KILLED:
                self._kill(trial)
            elif self._report(trial):
                self._next(trial.gpu, due, names, order)
                continue
            self._schedule(trial, due, order)

    def _next(self, gpu: int, due: list[Any], names: Iterator[int], order: Iterator[int]) -> None:
        name = f"tune-{next(names)}"
        config = self.searcher.suggest(name)
        if isinstance(config, dict):
            trial = SimulatedTrial(name, config, gpu, epoch=config["reported"])
            self.listener.on_trial_start(0, [], trial)
            self._schedule(trial, due, order)

    def _schedule(self, trial: SimulatedTrial, due: list[Any], order: Iterator[int]) -> None:
        seconds, watts = self.chance.choice(RECORDED)
        trial.seconds, trial.joules = trial.seconds + seconds, trial.joules + seconds * watts
        heapq.heappush(due, (self.clock.now_s + seconds, next(order), trial))

    def _report(self, trial: SimulatedTrial) -> bool:
        """One epoch is told as Tune tells it; is the trial over?"""
        trial.epoch += 1
        self.reports += 1
        key = (trial.config["trial_id"], trial.epoch)
        assert key not in self.seen, "an epoch came twice"
        self.seen.add(key)
        told = self._told(trial)
        result = {"report": to_json(told), "val_score": told.val_score, "epoch": told.epoch}
        stop = self.stopper(trial.trial_id, result)
        self.listener.on_trial_result(0, [], trial, result)
        if not stop and trial.epoch < self.plan.scenario.recipe.epochs:
            return False
        self.stopper(trial.trial_id, result)  # Tune gives a trial's last result twice
        self._close(trial)
        self.searcher.on_trial_complete(trial.trial_id, result)
        self.listener.on_trial_complete(0, [], trial)
        return True

    def _kill(self, trial: SimulatedTrial) -> None:
        self.killed += 1
        self._close(trial)
        self.listener.on_trial_recover(0, [], trial)
        trial.joules = trial.seconds = 0.0
        self.listener.on_trial_start(0, [], trial)

    def _close(self, trial: SimulatedTrial) -> None:
        self.charged.append(trial.joules)
        name = account(trial.config["trial_id"], trial.config["attempt"])
        self.meters.close(trial.gpu // GPUS_A_NODE, name, trial.joules)

    def _told(self, trial: SimulatedTrial) -> EpochReport:
        known = {
            "run_id": self.plan.run_id,
            "trial_id": trial.config["trial_id"],
            "attempt": trial.config["attempt"],
            "at": utc_now(),
            "epoch": trial.epoch,
            "checkpoint_epoch": trial.epoch,
            "node_id": f"node-{trial.gpu // GPUS_A_NODE}",
            "val_score": 0.9 + 0.01 * self.chance.random(),
            "train_loss": 1.0,
            "val_loss": 1.0,
            "energy_j": trial.joules,
            "energy_gpu_j": trial.joules,
            "energy_method": "counter",
            "co2e_g": CARBON.co2e_g(trial.joules),
            "duration_s": trial.seconds,
            "flops_executed": 10**9 * trial.epoch,
        }
        return EpochReport(**{**NO_FIELDS, **known})  # type: ignore[arg-type]


def simulate(folder: Path, *, trials: int, gpus: int, epochs: int) -> None:
    """Run, measure, print. Raises AssertionError where a figure misses its limit or the accounts differ."""
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    study = plan_study(policies=["random"], budget="1e9kWh", track="budget", settings={"recipe.epochs": epochs})
    plan = replace(study.runs[0], budget=Budget(currency="joules", limit=1e15))
    store, clock, chance = create_store(folder / "runs"), Clock(), random.Random(0)
    row = {"run_id": plan.run_id, "policy": plan.label, "scenario": plan.scenario.name, "replicate": 0}
    store.write_run({**row, "status": "running"})
    ledger = Ledger(budget=plan.budget, max_trials=trials)
    meters, tested = SimulatedMeters(-(-gpus // GPUS_A_NODE)), ray.put(TESTED)
    recorder = Recorder(store, lambda *which: tested, meters, CARBON, ledger)  # type: ignore[arg-type]
    with Path(os.devnull).open("w") as nowhere:
        progress = LineProgress(nowhere, clock)
        progress.study_started(Study(study_id=study.study_id, name="benchmark", runs=(plan,)), store.location)
        progress.run_started(plan, ledger)
        source = TuneEvents(plan, CARBON, [ledger, recorder, progress.event], RunHistory())
        cluster = Cluster(
            plan=plan,
            ledger=ledger,
            source=source,
            searcher=BudgetedSearcher(plan.policy.searcher(plan.space, 0), ledger, source, lambda: gpus),
            stopper=BudgetStopper(ledger, source),
            listener=TuneListener(source),
            meters=meters,
            clock=clock,
            gpus=gpus,
            chance=chance,
        )
        begun, cpu_before_s, slowest = time.perf_counter(), time.process_time(), math.inf
        mark = (0, begun, cpu_before_s)
        for reports in cluster.run():
            if reports - mark[0] >= 5_000:
                now = (reports, time.perf_counter(), time.process_time())
                rate, cpu_rate = (5_000 / (after - before) for before, after in zip(mark[1:], now[1:], strict=True))
                slowest, mark = min(slowest, rate), now
                print(f"{reports:8d} reports, {rate:6.0f} a second, {cpu_rate:6.0f} a CPU second", flush=True)
        recorder.finish()
        elapsed_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_before_s
        if source.failure is not None:
            raise source.failure
    ray.shutdown()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sealed = store.trials(["trial_id", "attempt", "status", "energy_j"])
    expected = math.fsum(cluster.charged)
    rate = cluster.reports / elapsed_s
    print(f"{trials} trials on {gpus} GPUs, {cluster.reports} reports, {cluster.killed} killed workers")
    print(f"cluster time {clock.now_s:.0f} s, driver {elapsed_s:.0f} s of which {cpu_s:.0f} s CPU")
    of_many = f", the slowest 5000 at {slowest:.0f}" if math.isfinite(slowest) else ""
    print(f"{rate:.0f} reports a second{of_many} (at least 200)")
    print(f"most memory held {held:.2f} GiB (at most 2)")
    print(f"ledger {ledger.spent:.6f} J, second account {expected:.6f} J, store {math.fsum(sealed.energy_j):.6f} J")
    assert ledger.spent == expected == math.fsum(sealed.energy_j)
    assert len(sealed) == trials + cluster.killed
    assert (sealed.status == "completed").sum() == trials
    assert cluster.reports == trials * epochs
    assert rate >= 200, "too slow"
    assert held <= 2, "too much memory"


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
