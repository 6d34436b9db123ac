"""The functions that Ray's workers run: they train a student, examine it, train the teacher, compute its outputs.

A worker imports such a function by name, and with it ``tune_kd``, before any argument is unpickled. That import puts
the finder of our packages (:mod:`tune_kd.own_packages`) in place, whatever folder Ray has put on the path.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune

from tune_kd import events
from tune_kd.budget.cost import PassCost
from tune_kd.cluster.code import Code, this_code
from tune_kd.config import catalogue, policy_file
from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.errors import RunFailed
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.client import TrialMeter, account
from tune_kd.models import fast
from tune_kd.storage.cache import Cache
from tune_kd.storage.checkpoints import Slot, checkpoint_name
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.process import device, prepare_process
from tune_kd.training.student import TrialSpec
from tune_kd.training.teacher import Teacher, obtain_teacher
from tune_kd.training.teacher_outputs import TeacherOutputs, teach
from tune_kd.training.trial import Place, Trial

LATE_S = 30.0
"""How long a trial waits for the meter of a node that has just joined, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all trials of a run share: frozen values and references into the object store."""

    run_id: str
    scenario: Scenario
    policy_json: str  # a record: a user's own policy is made of its source text only where errors in it are explained
    replicate_seed: int
    data: ray.ObjectRef  # of ImageData, without the test images: a trial cannot see them
    teacher: ray.ObjectRef  # of Teacher, or of None if no trial of the study asks it
    counted: NetworkFlops
    cache: Cache  # the driver's; trials' checkpoints are kept in it
    outputs: str | None  # the folder of the shared teacher outputs; None: every trial asks the teacher itself
    marker: str  # a file in the cache's folder: a node that does not find it does not see the folder
    code: Code
    nodes: frozenset[str]  # the ids of the nodes that the driver had checked when the run began
    carbon: Carbon
    cpus: float
    gpus: float


@policy_file.explained()
def train_student(config: Mapping[str, Any], shared: Shared) -> None:
    """Ray Tune's function: one trial, each epoch reported. ``config``: index, trial_id and params."""
    prepare_process(shared.cpus)
    late_s = wait_if_late(shared)
    spec = TrialSpec(
        run_id=shared.run_id,
        trial_id=config["trial_id"],
        index=config["index"],
        replicate_seed=shared.replicate_seed,
        scenario=shared.scenario,
        policy=catalogue.policy_from_record(shared.policy_json),
        params=config["params"],
        attempt=config["attempt"],
        reported=config["reported"],
    )
    data, teacher = ray.get([shared.data, shared.teacher])
    meter = meter_here(account(spec.trial_id, spec.attempt), shared.cpus, wait_s=late_s)
    place = Place(
        device=device(shared.gpus),
        meter=meter,
        carbon=shared.carbon,
        node_id=this_node(),
        checkpoint=checkpoint_place(shared, spec.trial_id),
    )
    try:
        network = None if teacher is None else teacher.network(spec.scenario, data)
        for result in results_of(Trial(spec, data, network, place, shared.counted, outputs_of(shared))):
            tune.report({**result, "unmeasured": meter.failure})
    finally:
        meter.close()  # on a stop, too, where Tune raises SystemExit: it takes milliseconds


def results_of(trial: Trial) -> Iterator[dict[str, Any]]:
    """The results for Tune: each report, with the metrics that a scheduler uses.

    If all epochs were reported before, only the last metrics, once more: schedulers reject a trial that ends without.
    """
    report = None
    for report in trial.fit():
        yield {"report": events.to_json(report), **_for_scheduler(report)}
    if report is None and trial.last is not None:
        yield _for_scheduler(trial.last)


def _for_scheduler(report: events.EpochReport) -> dict[str, Any]:
    return {"val_score": report.val_score, "epoch": report.epoch}


def examine_student(shared: Shared, trial_id: str, attempt: int, data: ImageData) -> dict[str, Any]:
    """Ray task: test the checkpoint of an ended trial, the one time that its test set is read; the test columns."""
    from tune_kd.training.examination import examine  # scikit-learn: only where it is needed

    prepare_process(shared.cpus)
    what = shared.scenario
    meter = meter_here(f"{account(trial_id, attempt)} test", shared.cpus, wait_s=wait_if_late(shared))
    place = checkpoint_place(shared, trial_id)
    columns = examine(what, place, data, device=device(shared.gpus), meter=meter, carbon=shared.carbon)
    return {**columns, "energy_test_j": meter.close().total_j}


def make_teacher(scenario: Scenario, data: ImageData, name: str, gpus: float) -> Teacher:
    """Ray task: obtain the scenario's teacher, metered under its ``name``.

    Nothing else of the study runs meanwhile, so it computes with all CPUs of its node, however few are reserved.
    """
    cpus = cpus_of_this_node()
    prepare_process(cpus)
    meter = meter_here(f"teacher {name}", cpus)
    teacher = obtain_teacher(scenario, data, device=device(gpus), meter=meter)
    meter.close()
    return teacher


def compute_outputs(shared: Shared, epochs: list[int]) -> PassCost:
    """Ray task: compute and keep the teacher's outputs for all batches of ``epochs``, 0 is the first; their cost."""
    prepare_process(shared.cpus)
    late_s, started = wait_if_late(shared), time.perf_counter()
    what, where = shared.scenario, device(shared.gpus)
    meter = meter_here(f"{shared.run_id} teacher outputs from epoch {epochs[0]}", shared.cpus, wait_s=late_s)
    data, teacher = ray.get([shared.data, shared.teacher])
    network = fast.through(fast.for_inference(teacher.network(what, data), where), compiled=what.compile)
    part = task_of(what).on_device(data.train, where)
    outputs = outputs_of(shared)
    assert outputs is not None, "only a run that shares starts this"
    asked = 0
    for epoch in epochs:
        logits = teach(network, part, data, what, seed=shared.replicate_seed, epoch=epoch)
        outputs.write(epoch, logits)
        asked += len(logits)
    energy_j = meter.close().total_j
    cost = PassCost(
        flops=shared.counted.teacher.forward * asked,
        duration_s=time.perf_counter() - started,
        energy_j=energy_j,
        co2e_g=shared.carbon.co2e_g(energy_j),
    )
    for epoch in epochs:
        outputs.write_cost(epoch, cost / len(epochs))
    return cost


def outputs_of(shared: Shared) -> TeacherOutputs | None:
    """The teacher's outputs that the run's trials share; None if they share none."""
    if shared.outputs is None:
        return None
    folder = Path(shared.outputs)
    return TeacherOutputs(place=lambda name: seen_from_here(shared, folder / name))


def wait_if_late(shared: Shared) -> float:
    """How long to wait, in seconds, for the meter of this node: 0 if the node was there before the run.

    The driver may not have checked a node that joined later. Raises RunFailed if it runs other code.
    """
    if this_node() in shared.nodes:
        return 0.0
    if difference := shared.code.difference(this_code()):
        raise RunFailed(f"node {this_node()[:8]} runs other code than the driver: {difference}")
    return LATE_S


def meter_here(name: str, cpus: float, wait_s: float = 0.0) -> TrialMeter:
    """Open an account at this node's meter for this process, with the CPUs and GPUs that Ray has reserved for it."""
    gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    share = ray.get_runtime_context().get_assigned_resources().get("GPU", 0.0) / max(len(gpus), 1)
    return TrialMeter(name, cpus=cpus, gpus=dict.fromkeys(gpus, share), wait_s=wait_s)


def count_flops(scenario: Scenario, data: ImageData) -> NetworkFlops:
    """Ray task: the FLOPs of one image in each of the scenario's networks."""
    return NetworkFlops.count(scenario, data)


def this_node() -> str:
    """Ray's id of the node that this process runs on; host names do not separate nodes of one host."""
    return ray.get_runtime_context().get_node_id()


def cpus_of_this_node() -> float:
    """The CPUs that Ray counts on the node that this process runs on."""
    [resources] = [node["Resources"] for node in ray.nodes() if node["NodeID"] == this_node()]
    return float(resources.get("CPU", 0))


def checkpoint_place(shared: Shared, trial_id: str) -> Path | Slot:
    """Where to read and write a trial's checkpoint from this node."""
    return seen_from_here(shared, shared.cache.kept.place(checkpoint_name(shared.run_id, trial_id)))


def seen_from_here(shared: Shared, place: Path | Slot) -> Path | Slot:
    """Where to read and write a cached file from this node: ``place`` itself, or an actor on the driver's node.

    The actor is needed for a path that this node does not see.
    """
    if not isinstance(place, Path) or Path(shared.marker).exists():
        return place
    from tune_kd.cluster.checkpoint_actor import DriverSlot

    return DriverSlot(str(place.relative_to(shared.cache.folder)))
