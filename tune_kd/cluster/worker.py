"""The functions that Ray's workers run: the jobs of a study's pool, and the training of its teacher.

A job is a trial, the test of an ended trial's checkpoint, or a part of the teacher's outputs that trials share.

A worker imports such a function by name, and with it ``tune_kd``, before any argument is unpickled. That import puts
the finder of our packages (:mod:`tune_kd.own_packages`) in place, whatever folder Ray has put on the path.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
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

NO_SCORE = {"val_score": 0.0, "epoch": 0}
"""Tune wants its metric in every result; the jobs that have none are shown to no scheduler."""

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
    tested_on: ray.ObjectRef  # of ImageData, with them
    teacher: ray.ObjectRef  # of Teacher, or of None if the run's trials do not ask it
    counted: NetworkFlops
    cache: Cache  # the driver's; trials' checkpoints are kept in it
    outputs: str | None  # the folder of the shared teacher outputs; None: every trial asks the teacher itself
    marker: str  # a file in the cache's folder: a node that does not find it does not see the folder
    code: Code
    nodes: frozenset[str]  # the ids of the nodes that the driver had checked when the study began
    carbon: Carbon
    cpus: float
    gpus: float


def work(config: Mapping[str, Any]) -> None:
    """Ray Tune's function: one job of a run.

    ``config`` has ``job``, a key of :data:`JOBS`, ``shared``, a reference to the run's :class:`Shared`, and what that
    job takes.
    """
    shared: Shared = ray.get(config["shared"])
    prepare_process(shared.cpus)
    JOBS[config["job"]](config, shared)


@policy_file.explained()
def train_student(config: Mapping[str, Any], shared: Shared) -> None:
    """A trial, each epoch reported. ``config``: index, trial_id, attempt, reported, params and awaited."""
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
    meter = meter_here(account(spec.trial_id, spec.attempt), shared.cpus, shared.run_id, wait_s=late_s)
    place = Place(
        device=device(shared.gpus),
        meter=meter,
        carbon=shared.carbon,
        node_id=this_node(),
        checkpoint=checkpoint_place(shared, spec.trial_id),
    )
    try:
        network = None if teacher is None else teacher.network(spec.scenario, data)
        outputs = outputs_of(shared, config["awaited"])
        for result in results_of(Trial(spec, data, network, place, shared.counted, outputs)):
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


def examine_student(config: Mapping[str, Any], shared: Shared) -> None:
    """Test the checkpoint of an ended trial, the one time that its test set is read; its columns are reported.

    ``config``: trial_id and attempt.
    """
    from tune_kd.training.examination import examine  # scikit-learn: only where it is needed

    name = once(f"{account(config['trial_id'], config['attempt'])} test")
    meter = meter_here(name, shared.cpus, shared.run_id, wait_s=wait_if_late(shared))
    place, data = checkpoint_place(shared, config["trial_id"]), ray.get(shared.tested_on)
    columns = examine(shared.scenario, place, data, device=device(shared.gpus), meter=meter, carbon=shared.carbon)
    tune.report({"outcome": {**columns, "energy_test_j": meter.close().total_j}, **NO_SCORE})


def make_teacher(scenario: Scenario, data: ImageData, name: str, gpus: float) -> Teacher:
    """Ray task: obtain the scenario's teacher, metered under its ``name``.

    Nothing else of the study runs meanwhile, so it computes with all CPUs of its node, however few are reserved.
    """
    cpus = cpus_of_this_node()
    prepare_process(cpus)
    meter = meter_here(once(f"teacher {name}"), cpus)
    teacher = obtain_teacher(scenario, data, device=device(gpus), meter=meter)
    meter.close()
    return teacher


def compute_outputs(config: Mapping[str, Any], shared: Shared) -> None:
    """Compute and keep the teacher's outputs for all batches of some epochs, and what each has cost.

    ``config``: epochs, 0 is the first.
    """
    late_s, started = wait_if_late(shared), time.perf_counter()
    what, where, epochs = shared.scenario, device(shared.gpus), config["epochs"]
    name = once(f"{shared.run_id} teacher outputs from epoch {epochs[0]}")
    meter = meter_here(name, shared.cpus, shared.run_id, wait_s=late_s)
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
    tune.report({"outcome": {}, **NO_SCORE})


def outputs_of(shared: Shared, awaited: Iterable[int] = ()) -> TeacherOutputs | None:
    """The teacher's outputs that the run's trials share; None if they share none.

    ``awaited`` are the epochs whose outputs are being computed: they are waited for.
    """
    if shared.outputs is None:
        return None
    folder = Path(shared.outputs)
    return TeacherOutputs(place=lambda name: seen_from_here(shared, folder / name), awaited=frozenset(awaited))


def wait_if_late(shared: Shared) -> float:
    """How long to wait, in seconds, for the meter of this node: 0 if the node was there before the run.

    The driver may not have checked a node that joined later. Raises RunFailed if it runs other code.
    """
    if this_node() in shared.nodes:
        return 0.0
    if difference := shared.code.difference(this_code()):
        raise RunFailed(f"node {this_node()[:8]} runs other code than the driver: {difference}")
    return LATE_S


def meter_here(name: str, cpus: float, run_id: str | None = None, wait_s: float = 0.0) -> TrialMeter:
    """Open an account at this node's meter for this process, with the CPUs and GPUs that Ray has reserved for it.

    ``run_id`` is the run that it belongs to; None for a teacher's training.
    """
    gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    share = ray.get_runtime_context().get_assigned_resources().get("GPU", 0.0) / max(len(gpus), 1)
    return TrialMeter(name, cpus=cpus, gpus=dict.fromkeys(gpus, share), run=run_id, wait_s=wait_s)


def once(name: str) -> str:
    """An account's name made into one that is not used again: what dies is begun anew, and a resumed study, too."""
    return f"{name} {secrets.token_hex(4)}"


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


JOBS: Mapping[str, Callable[[Mapping[str, Any], Shared], None]] = {
    "trial": train_student,
    "test": examine_student,
    "teacher outputs": compute_outputs,
}
"""What a worker of the pool does, by the name in a job's config."""
