"""Starts what a study's workers do beside its pool, as Ray tasks: the FLOPs are counted, the teacher is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tune_kd.cluster.session import Resources
from tune_kd.cluster.tasks import count_flops, make_teacher, stack_students
from tune_kd.config.scenario import Scenario
from tune_kd.errors import RunFailed
from tune_kd.training.teacher import Teacher


class RayTasks:
    """The tasks of a study beside its jobs. Ray starts a task that was lost with its node twice more."""

    def __init__(self, ray: Any, resources: Resources) -> None:
        self._ray, self._resources = ray, resources
        # Made once each: Ray exports a function anew whenever it is made remote.
        self._training: Any = None
        functions = (count_flops, make_teacher, stack_students)
        self._count, self._make, self._try = (ray.remote(max_retries=2)(function) for function in functions)

    def count_flops(self, scenario: Scenario, data: Any) -> Any:
        """Count the FLOPs of the scenario's networks for the images at ``data``; the reference to its NetworkFlops."""
        return self._count.options(num_cpus=0, num_gpus=self._resources.gpus).remote(scenario, data)

    def try_stacking(self, scenario: Scenario, data: Any) -> Any:
        """Try on a worker whether students can be trained side by side; the reference to the :class:`Stacking`."""
        cpus, gpus = self._resources.cpus, self._resources.gpus
        return self._try.options(num_cpus=0, num_gpus=gpus).remote(scenario, data, cpus, gpus)

    def train_teacher(self, scenario: Scenario, images: Any, name: str, told: Callable[[int], None]) -> Teacher:
        """Train the scenario's teacher, metered under ``name``, and wait for it. Raises RunFailed.

        ``images`` is a reference to the part's ImageData, test images included. ``told`` is called with the number of
        each epoch that has ended.
        """
        # What a job reserves, there is room for. All CPUs of a node might never be free: a job's driver holds one.
        cpus, gpus = self._resources.cpus, self._resources.gpus
        train = self._make.options(num_cpus=cpus, num_gpus=gpus)
        try:
            self._training = train.remote(scenario, images, name, gpus)
            for item in map(self._ray.get, self._training):
                if isinstance(item, Teacher):
                    return item
                told(item)
        except self._ray.exceptions.RayError as error:
            if isinstance(cause := getattr(error, "cause", None), RunFailed):  # its text is a whole line already
                raise cause from error
            reason = str(error).strip().splitlines()[-1]
            raise RunFailed(f"the teacher {scenario.teacher} could not be trained: {reason}") from error
        raise RunFailed(f"the teacher {scenario.teacher} could not be trained: its worker ended without it")

    def cancel(self) -> None:
        """End the training of a teacher that is under way: :meth:`train_teacher` raises RunFailed."""
        if self._training is not None:
            self._ray.cancel(self._training, force=True)
