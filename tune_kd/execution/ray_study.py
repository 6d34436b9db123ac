"""What the runs of a study share on Ray: data, teacher, nodes, and what a trial reserves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tune_kd.cluster.code import this_code
from tune_kd.cluster.nodes import Cluster
from tune_kd.cluster.session import Resources, resources
from tune_kd.cluster.worker import Shared
from tune_kd.config import catalogue
from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.data.batches import steps_per_epoch
from tune_kd.execution.ray_tasks import RayTasks
from tune_kd.meter.carbon import Carbon
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import RunPlan
from tune_kd.progress.base import Progress
from tune_kd.storage.cache import Cache
from tune_kd.storage.scratch import own_folder
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.teacher import Teacher, kept_or_trained, teacher_id
from tune_kd.training.teacher_outputs import outputs_id


@dataclass(frozen=True, kw_only=True)
class RayStudy:
    """What outlives a run. Data and teacher lie in Ray's object store once for all runs, as references."""

    ray: Any
    resources: Resources  # of one trial
    tasks: RayTasks
    cluster: Cluster
    cache: Cache
    carbon: Carbon
    steps: int  # batches of an epoch
    data: Any  # a reference to ImageData without the test images
    teacher: Teacher | None  # None: no trial of the study asks one
    teacher_ref: Any
    teacher_id: str
    counted: NetworkFlops
    tune_folder: Path  # of Tune's own files, of which nothing is kept

    def share(self, plan: RunPlan, *, outputs: bool) -> Shared:
        """What the workers of one run get; with ``outputs`` its trials share the teacher's."""
        return Shared(
            run_id=plan.run_id,
            scenario=plan.scenario,
            policy_json=catalogue.policy_record(plan.policy),
            replicate_seed=plan.seed,
            data=self.data,
            teacher=self.teacher_ref,
            counted=self.counted,
            cache=self.cache,
            outputs=str(self.outputs_folder / self.outputs_name(plan)) if outputs else None,
            marker=str(self.cluster.marker),
            code=this_code(),
            nodes=frozenset(self.cluster.machines),
            carbon=self.carbon,
            cpus=self.resources.cpus,
            gpus=self.resources.gpus,
        )

    @property
    def outputs_folder(self) -> Path:
        """The folder of the teacher's outputs, in which each replicate has one of its own."""
        return self.cache.folder / "teacher_outputs"

    def outputs_name(self, plan: RunPlan) -> str:
        """The name in that folder of the run's replicate."""
        cpus, gpus = self.resources.cpus, self.resources.gpus
        return outputs_id(self.teacher_id, plan.scenario, plan.seed, cpus=cpus, gpus=gpus)


@contextmanager
def opened(
    ray: Any, data: ImageData, scenario: Scenario, execution: Execution, progress: Progress, *, taught: bool
) -> Iterator[RayStudy]:
    """Look at the nodes, train the teacher if a trial asks one and none is kept, and put on Ray what runs share.

    ``taught``: is a teacher needed? Raises InputError for resources that no node has and for a node of no use,
    RunFailed for a teacher that cannot be trained.
    """
    of_trial = resources(ray, execution.cpus_per_trial, execution.gpus_per_trial, execution.max_concurrent)
    cluster = Cluster(of_trial, cache=execution.home, metering=execution, progress=progress)
    with own_folder() as folder:
        try:
            cluster.open()
            tasks, identity = RayTasks(ray, of_trial, ray.put(data)), teacher_id(scenario, data)
            data_ref = ray.put(task_of(scenario).for_trials(data))
            counting = tasks.count_flops(scenario, data_ref)
            train = partial(tasks.train_teacher, scenario, identity)
            teacher = kept_or_trained(scenario, data, execution.home, train, progress.stage) if taught else None
            yield RayStudy(
                ray=ray,
                resources=of_trial,
                tasks=tasks,
                cluster=cluster,
                cache=execution.home,
                carbon=execution.carbon,
                steps=steps_per_epoch(len(data.train), scenario.recipe.batch_size),
                data=data_ref,
                teacher=teacher,
                teacher_ref=ray.put(teacher),
                teacher_id=identity,
                counted=ray.get(counting),
                tune_folder=folder,
            )
        finally:
            cluster.close()
