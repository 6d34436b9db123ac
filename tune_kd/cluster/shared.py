"""What a worker finds: what the trials of its run share, where files are for its node, and the meter of that node."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import ray

from tune_kd.cluster.code import Code, this_code
from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.errors import RunFailed
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.client import TrialMeter
from tune_kd.storage.cache import Cache
from tune_kd.storage.checkpoints import Slot, checkpoint_name
from tune_kd.synthesis.pool import PoolFiles, with_pool
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.teacher_outputs import TeacherOutputs

LATE_S = 30.0
"""How long a trial waits for the meter of a node that has just joined, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all trials of a run share: frozen values and references into the object store."""

    run_id: str
    scenario: Scenario
    policy_json: str  # a record: a user's own policy is made of its source text only where errors in it are explained
    replicate_seed: int
    data: ray.ObjectRef  # of ImageData, without test images and, if images are synthesised, without training images
    tested_on: ray.ObjectRef  # of ImageData, with them
    teacher: ray.ObjectRef  # of Teacher, or of None if the run's trials do not ask it
    counted: NetworkFlops
    cache: Cache  # the driver's; trials' checkpoints are kept in it
    pool: str | None  # the folder in the cache of the pool that they share; None: no pool, or each makes its own
    outputs: str | None  # the folder of the shared teacher outputs; None: every trial asks the teacher itself
    marker: str  # a file in the cache's folder: a node that does not find it does not see the folder
    code: Code
    nodes: frozenset[str]  # the ids of the nodes that the driver had checked when the study began
    carbon: Carbon
    cpus: float
    gpus: float


def outputs_of(shared: Shared, awaited: Iterable[int] = ()) -> TeacherOutputs | None:
    """The teacher's outputs that the run's trials share; None if they share none.

    ``awaited`` are the epochs whose outputs are being computed: they are waited for.
    """
    if shared.outputs is None:
        return None
    folder = Path(shared.outputs)
    return TeacherOutputs(place=lambda name: seen_from_here(shared, folder / name), awaited=frozenset(awaited))


def pool_files(shared: Shared, folder: str) -> PoolFiles:
    """The files of the pool in this ``folder`` of the cache, as this node sees them."""
    return PoolFiles(lambda name: seen_from_here(shared, shared.cache.kept.place(f"{folder}/{name}")))


def data_of(shared: Shared, folder: str | None) -> ImageData:
    """What a run's trials are trained on: with the pool in ``folder`` as training images, unless that is None.

    Raises RunFailed where the pool is gone.
    """
    data: ImageData = ray.get(shared.data)
    if folder is None:
        return data
    pool = pool_files(shared, folder).read()
    if pool is None:
        raise RunFailed(f"the pool of synthesised images {folder} is no longer in the cache {shared.cache.folder}")
    return with_pool(data, pool, shared.scenario)


def wait_if_late(shared: Shared) -> float:
    """How long to wait, in seconds, for the meter of this node: 0 if the node was there before the run.

    The driver may not have checked a node that joined later. Raises RunFailed if it runs other code.
    """
    if this_node() in shared.nodes:
        return 0.0
    if difference := shared.code.difference(this_code()):
        raise RunFailed(f"node {this_node()[:8]} runs other code than the driver: {difference}")
    return LATE_S


def meter_here(
    name: str, *others: str, cpus: float, run_id: str | None = None, wait_s: float = 0.0, spare: bool = False
) -> TrialMeter:
    """Open an account at this node's meter for this process, with the CPUs and GPUs that Ray has reserved for it.

    ``run_id`` is the run that it belongs to; None for a teacher's training. ``others`` are the accounts of trials that
    the process trains side by side with the one of this ``name``. ``spare``: see :class:`TrialMeter`.
    """
    gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    share = ray.get_runtime_context().get_assigned_resources().get("GPU", 0.0) / max(len(gpus), 1)
    held = dict.fromkeys(gpus, share)
    return TrialMeter(name, cpus=cpus, gpus=held, run=run_id, others=others, wait_s=wait_s, spare=spare)


def once(name: str) -> str:
    """An account's name made into one that is not used again: what dies is begun anew, and a resumed study, too."""
    return f"{name} {secrets.token_hex(4)}"


def this_node() -> str:
    """Ray's id of the node that this process runs on; host names do not separate nodes of one host."""
    return ray.get_runtime_context().get_node_id()


def cpus_of_this_task() -> float:
    """The CPUs that Ray has reserved for the task that this process runs."""
    return float(ray.get_runtime_context().get_assigned_resources().get("CPU", 0.0))


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
