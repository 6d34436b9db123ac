"""What runs on Ray's workers: a student, an examination, a teacher, a look at the node.

Workers import these functions by name, and with them ``tune_kd``, before anything else of ours is unpickled:
that puts the house finder (``house.py``) in place, whatever folder Ray has put on the path.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from tune_kd import catalogue, events, scenario
from tune_kd.data import ImageData
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.power import PowerModel, detect
from tune_kd.meter.process import ProcessMeter
from tune_kd.teacher import Teacher, save_teacher, train_teacher
from tune_kd.trial import NetworkFlops, Place, Trial, TrialSpec


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all trials of a run share, as plain data and references into the object store."""

    run_id: str
    scenario_json: str
    policy_json: str
    replicate_seed: int
    data: ray.ObjectRef  # of ImageData, without the test images: a trial cannot see them
    teacher: ray.ObjectRef  # of Teacher
    counted: NetworkFlops
    checkpoints: str
    carbon: Carbon
    power: Mapping[str, PowerModel]  # by node id
    cpus: float
    gpus: float

    def meter(self) -> ProcessMeter:
        """A meter for this process, from now on. A node that joined late looks at itself."""
        return ProcessMeter(self.power.get(this_node()) or detect(), self.cpus)


@dataclass(frozen=True, kw_only=True)
class NodeInfo:
    """A node's row for the store, and the power model of what runs there."""

    node_id: str
    row: dict[str, Any]
    power: PowerModel


def train_student(config: Mapping[str, Any], shared: Shared) -> None:
    """Ray Tune's function: one trial, each epoch reported. ``config``: index, trial_id and params."""
    prepare_process(shared.cpus)
    spec = TrialSpec(
        run_id=shared.run_id,
        trial_id=config["trial_id"],
        index=config["index"],
        replicate_seed=shared.replicate_seed,
        scenario=scenario.from_record(shared.scenario_json),
        policy=catalogue.policy_from_record(shared.policy_json),
        params=config["params"],
    )
    data, teacher = ray.get([shared.data, shared.teacher])
    place = Place(
        device=device(shared.gpus),
        meter=shared.meter(),
        carbon=shared.carbon,
        node_id=this_node(),
        checkpoint=checkpoint_path(shared.checkpoints, spec.trial_id),
    )
    for report in Trial(spec, data, teacher.network(spec.scenario, data), place, shared.counted).fit():
        tune.report({"report": events.to_json(report), "val_accuracy": report.val_accuracy, "epoch": report.epoch})


def examine_student(shared: Shared, trial_id: str, data: ImageData) -> dict[str, Any]:
    """Ray task: the one reading of the test set for a trial that has ended."""
    from tune_kd.examination import examine  # scikit-learn: only where it is needed

    prepare_process(shared.cpus)
    what = scenario.from_record(shared.scenario_json)
    return examine(
        what.student,
        checkpoint_path(shared.checkpoints, trial_id),
        data,
        precision=what.precision,
        device=device(shared.gpus),
        meter=shared.meter(),
        carbon=shared.carbon,
    )


def make_teacher(scenario_json: str, data: ImageData, path: str, cpus: float, gpus: float) -> Teacher:
    """Ray task: train the scenario's teacher and keep it at ``path``."""
    prepare_process(cpus)
    teacher = train_teacher(
        scenario.from_record(scenario_json),
        data,
        device=device(gpus),
        meter=ProcessMeter(detect(), cpus),
    )
    save_teacher(Path(path), teacher)
    return teacher


def count_flops(scenario_json: str, data: ImageData) -> NetworkFlops:
    """Ray task: what one image costs each of the scenario's networks."""
    return NetworkFlops.count(scenario.from_record(scenario_json), data)


def look_at_node() -> NodeInfo:
    """Ray task: the hardware and software of the node that it runs on."""
    from tune_kd import records

    power = detect()
    return NodeInfo(node_id=this_node(), row=records.node(this_node(), power, gpu_columns()), power=power)


def gpu_columns() -> dict[str, Any]:
    """What the driver says of this node's GPUs; nothing where there are none."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {"gpus": 0}
    try:
        count = pynvml.nvmlDeviceGetCount()
        columns = {"gpus": count, "gpu_driver": pynvml.nvmlSystemGetDriverVersion()}
        if count:
            columns["gpu_model"] = pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0))
        return columns
    finally:
        pynvml.nvmlShutdown()


def this_node() -> str:
    """Ray's id of the node that this process runs on; host names do not separate nodes of one host."""
    return ray.get_runtime_context().get_node_id()


def checkpoint_path(folder: str, trial_id: str) -> Path:
    """Where a trial's checkpoint is."""
    return Path(folder) / f"{trial_id}.pt"


def device(gpus: float) -> torch.device:
    """The GPU that Ray gave this worker, or the CPU."""
    return torch.device("cuda" if gpus > 0 else "cpu")


def prepare_process(cpus: float) -> None:
    """A reused worker keeps the thread count of whatever ran in it before: set it for this task."""
    torch.set_num_threads(max(1, int(cpus)))
    torch.set_flush_denormal(True)  # denormals slow a CPU down by an order of magnitude
    warm_up()


@functools.cache
def warm_up() -> None:
    """Train a toy once in this process: torch loads seconds' worth of modules at its first optimizer step.

    It happens before the meter starts. Else the first trial of a worker would cost twice what the next one does.
    """
    toy = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(toy.parameters(), lr=0.1)
    toy(torch.ones(1, 1)).sum().backward()
    optimizer.step()
