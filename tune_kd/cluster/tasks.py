"""The functions that Ray's workers run beside a study's jobs: the FLOPs are counted, the teacher is trained.

They need nothing of Ray Tune: their workers do not import it, which takes a second of CPU time.
"""

from __future__ import annotations

from collections.abc import Iterator

from tune_kd.cluster.shared import cpus_of_this_node, cpus_of_this_task, meter_here, once
from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.process import device, prepare_process
from tune_kd.training.stackable import Stacking, try_stacking
from tune_kd.training.teacher import Teacher, obtaining_teacher


def make_teacher(scenario: Scenario, data: ImageData, name: str, gpus: float) -> Iterator[int | Teacher]:
    """Ray task: the number of each epoch of the scenario's teacher, then the teacher, metered under its ``name``.

    It computes with all CPUs of its node, however few are reserved: as a rule, every run waits for it. Where others go
    on meanwhile, its account has what these leave.
    """
    prepare_process(cpus_of_this_node())
    meter = meter_here(once(f"teacher {name}"), cpus=cpus_of_this_task(), spare=True)
    teacher = yield from obtaining_teacher(scenario, data, device=device(gpus), meter=meter)
    meter.close()
    yield teacher


def count_flops(scenario: Scenario, data: ImageData) -> NetworkFlops:
    """Ray task: the FLOPs of one image in each of the scenario's networks."""
    return NetworkFlops.count(scenario, data)


def stack_students(scenario: Scenario, data: ImageData, cpus: float, gpus: float) -> Stacking:
    """Ray task: can students be trained side by side, and does it pay, with so much of a node?"""
    prepare_process(cpus)
    return try_stacking(scenario, data, device(gpus))
