"""Starts the functions of the workers as Ray tasks, each with what a trial of the study reserves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tune_kd.cluster.nodes import rather
from tune_kd.cluster.session import Resources
from tune_kd.cluster.worker import Shared, compute_outputs, count_flops, examine_student, make_teacher
from tune_kd.config.scenario import Scenario
from tune_kd.errors import RunFailed
from tune_kd.training.teacher import Teacher


class RayTasks:
    """The tasks of a study beside its trials. Ray starts a task that was lost with its node twice more.

    ``images`` is a reference to the study's ImageData, test images included.
    """

    def __init__(self, ray: Any, resources: Resources, images: Any) -> None:
        self._ray, self._resources, self._images = ray, resources, images
        # Made once each: Ray exports a function anew whenever it is made remote.
        functions = (count_flops, make_teacher, compute_outputs, examine_student)
        self._remote = {function: ray.remote(max_retries=2)(function) for function in functions}

    def count_flops(self, scenario: Scenario, data: Any) -> Any:
        """Count the FLOPs of the scenario's networks for the images at ``data``; the reference to its NetworkFlops."""
        return self._task(count_flops, cpus=0).remote(scenario, data)

    def train_teacher(self, scenario: Scenario, name: str) -> Teacher:
        """Train the scenario's teacher, metered under ``name``, and wait for it. Raises RunFailed."""
        # What a trial reserves, there is room for. All CPUs of a node might never be free: a job's driver holds one.
        train, gpus = self._task(make_teacher, cpus=self._resources.cpus), self._resources.gpus
        try:
            teacher: Teacher = self._ray.get(train.remote(scenario, self._images, name, gpus))
        except self._ray.exceptions.RayError as error:
            if isinstance(cause := getattr(error, "cause", None), RunFailed):  # its text is a whole line already
                raise cause from error
            reason = str(error).strip().splitlines()[-1]
            raise RunFailed(f"the teacher {scenario.teacher} could not be trained: {reason}") from error
        return teacher

    def compute_outputs(self, shared: Shared, epochs: list[int]) -> Any:
        """Compute the teacher's outputs of ``epochs``, 0 is the first; the reference to their PassCost."""
        return self._task(compute_outputs, cpus=self._resources.cpus).remote(shared, epochs)

    def examine(self, shared: Shared, trial_id: str, attempt: int, node_id: str | None) -> Any:
        """Test the checkpoint of an ended trial; the reference to its test columns.

        It runs on the node that trained it, unless that is gone: the data are there, and a GPU of the same kind.
        """
        # No CPU is asked for: the trials of the run hold them all, and an ended trial's test should not wait.
        task = self._task(examine_student, cpus=0, scheduling_strategy=rather(node_id))
        return task.remote(shared, trial_id, attempt, self._images)

    def _task(self, function: Callable[..., Any], *, cpus: float, **options: Any) -> Any:
        return self._remote[function].options(num_cpus=cpus, num_gpus=self._resources.gpus, **options)
