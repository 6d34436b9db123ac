"""What the runs of a study share on Ray: nodes and their meters, and for each part of it data and teacher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tune_kd.cluster.code import this_code
from tune_kd.cluster.nodes import Cluster
from tune_kd.cluster.session import Resources, resources
from tune_kd.cluster.shared import Shared
from tune_kd.config import catalogue, policy_file
from tune_kd.config.scenario import Scenario
from tune_kd.data.batches import steps_per_epoch
from tune_kd.execution.ray_tasks import RayTasks
from tune_kd.execution.shared_pool import SharedPool
from tune_kd.execution.side_by_side import JobSize
from tune_kd.execution.teacher_pass import asks
from tune_kd.execution.teachers import Teachers
from tune_kd.history.records import largest_class
from tune_kd.meter.carbon import Carbon
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import RunPlan, Study
from tune_kd.planning.side_by_side import may_be_several
from tune_kd.progress.base import Progress
from tune_kd.storage.cache import Cache
from tune_kd.storage.in_use import OUTPUTS
from tune_kd.storage.scratch import own_folder
from tune_kd.synthesis.pool import pool_folder, pool_id, training_images, without_images
from tune_kd.tasks.base import Data
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.teacher import kept_or_trained, teacher_id, teacher_name
from tune_kd.training.teacher_outputs import outputs_id


@dataclass(frozen=True, kw_only=True)
class RayStudy:
    """What all runs of a study share. ``tune_folder`` is of Tune's own files, of which nothing is kept."""

    ray: Any
    resources: Resources  # of one job
    cluster: Cluster
    cache: Cache
    carbon: Carbon
    tune_folder: Path
    tasks: RayTasks
    teachers: Teachers
    computing: dict[str, dict[int, bool]] = field(default_factory=dict)
    """By the name of a replicate's outputs the epochs that a job is to compute, and whether its worker has begun."""
    pools: dict[str, SharedPool] = field(default_factory=dict)
    """By its id each pool of synthesised images."""

    def room(self) -> int:
        """How many jobs may run at a time, on the nodes that are there now."""
        return self.cluster.room() - self.teachers.at_work


@dataclass(frozen=True, kw_only=True)
class RayPart:
    """What the runs of one part of a study share: they have one scenario.

    The data lie in Ray's object store once for all runs, as references: ``images`` with the test images, ``data``
    without.
    """

    study: RayStudy
    plans: tuple[RunPlan, ...]
    images: Any
    data: Any
    job_size: JobSize
    steps: int  # batches of an epoch
    teacher_id: str
    classes: tuple[str, ...]
    data_sha256: str
    taught: bool  # does a run of it need the teacher?
    counted: NetworkFlops
    largest_class: (
        tuple[float, int] | None
    )  # its share of the validation images, and their number; None without classes

    def share(self, plan: RunPlan, teacher: Any, *, pool: SharedPool | None, outputs: bool) -> Any:
        """A reference to what the workers of one run get.

        ``teacher`` is a reference to the Teacher, or to None for trials that ask none. ``pool`` is the one that trials
        share. With ``outputs`` they share those of the teacher.
        """
        study = self.study
        return study.ray.put(
            Shared(
                run_id=plan.run_id,
                scenario=plan.scenario,
                policy_json=catalogue.policy_record(plan.policy),
                replicate_seed=plan.seed,
                data=self.data,
                tested_on=self.images,
                teacher=teacher,
                counted=self.counted,
                cache=study.cache,
                pool=None if pool is None else pool.folder,
                outputs=str(outputs_folder(study.cache) / self.outputs_name(plan)) if outputs else None,
                marker=str(study.cluster.marker),
                code=this_code(),
                nodes=frozenset(study.cluster.machines),
                carbon=study.carbon,
                cpus=study.resources.cpus,
                gpus=study.resources.gpus,
            )
        )

    def outputs_name(self, plan: RunPlan) -> str:
        """The name of the folder with the teacher's outputs of the run's replicate."""
        of_trial = self.study.resources
        pool = None if plan.scenario.synthesis is None else self._pool_id(plan)
        return outputs_id(self.teacher_id, plan.scenario, plan.seed, pool, cpus=of_trial.cpus, gpus=of_trial.gpus)

    def uses(self, plan: RunPlan) -> list[str]:
        """The names of what the run uses of the cache beside the teacher's outputs: its teacher, its images."""
        images = [] if plan.scenario.synthesis is None else [pool_folder(self._pool_id(plan))]
        return [teacher_name(self.teacher_id), *images]

    def pool(self, plan: RunPlan) -> SharedPool | None:
        """The pool of the run's replicate; None where no images are synthesised, or each trial must make its own."""
        synthesis = plan.scenario.synthesis
        if synthesis is None or synthesis.reads_student:
            return None
        pools, identity = self.study.pools, self._pool_id(plan)
        if identity not in pools:
            real = synthesis.method == "real"
            pools[identity] = SharedPool(self.study.cache.kept, identity, self.classes, real=real)
        return pools[identity]

    def _pool_id(self, plan: RunPlan) -> str:
        gpu = self.study.resources.gpus > 0
        return pool_id(plan.scenario, self.teacher_id, plan.seed, data_sha256=self.data_sha256, gpu=gpu)


def outputs_folder(cache: Cache) -> Path:
    """The folder of the teachers' outputs, in which each replicate has one of its own."""
    return cache.folder / OUTPUTS


def parts_on_ray(
    study: RayStudy, parts: Sequence[tuple[Study, Data]], execution: Execution, progress: Progress
) -> list[RayPart]:
    """Put on Ray what the runs of each part share, and ask for the teachers: of parts with a run that needs one."""
    tasks, counting = study.tasks, []
    for part, data in parts:
        images, for_trials = study.ray.put(data), study.ray.put(_for_trials(part.scenario, data))
        counted, tried = tasks.count_flops(part.scenario, for_trials), None
        if execution.students != 1 and any(may_be_several(plan) for plan in part.runs):
            tried = tasks.try_stacking(part.scenario, for_trials)
        counting.append((images, for_trials, counted, tried))
    on_ray = []
    for (part, data), (images, for_trials, counted, tried) in zip(parts, counting, strict=True):
        scenario, identity = part.scenario, teacher_id(part.scenario, data)
        steps = steps_per_epoch(training_images(scenario, data), scenario.recipe.batch_size)
        if taught := any(needs_teacher(plan, steps, execution) for plan in part.runs):
            told = partial(progress.teacher_epoch, scenario.teacher, scenario.teacher_recipe.epochs)
            train = partial(tasks.train_teacher, scenario, images, identity, told)
            obtain = partial(kept_or_trained, scenario, data, execution.home, train, progress.stage)
            study.teachers.ask(identity, obtain)
        stacking = None if tried is None else study.ray.get(tried)
        job_size = JobSize(asked=execution.students, stacking=stacking)
        for text in job_size.notes(part.runs):
            progress.note(text)
        on_ray.append(
            RayPart(
                study=study,
                plans=part.runs,
                images=images,
                data=for_trials,
                job_size=job_size,
                steps=steps,
                teacher_id=identity,
                classes=tuple(data.classes),
                data_sha256=data.split_sha256,
                taught=taught,
                counted=study.ray.get(counted),
                largest_class=largest_class(data, scenario),
            )
        )
    return on_ray


def _for_trials(scenario: Scenario, data: Data) -> Data:
    """The data as trials get them: without the test images, and where images are synthesised without the training's."""
    seen = task_of(scenario).for_trials(data)
    return seen if scenario.synthesis is None else without_images(seen, scenario)


@policy_file.explained()
def needs_teacher(plan: RunPlan, steps: int, execution: Execution) -> bool:
    """Does a run wait for the teacher? If its trials ask it, or if the user wants the teacher trained anyway.

    The student alone asks none, nor does a loss without distillation. Images are synthesised out of the teacher.
    """
    return execution.train_teacher or plan.scenario.synthesis is not None or asks(plan, steps)


@contextmanager
def opened(ray: Any, execution: Execution, progress: Progress) -> Iterator[RayStudy]:
    """Look at the nodes and start their meters.

    Raises InputError for resources that no node has and for a node of no use.
    """
    of_job = resources(ray, execution.cpus_per_trial, execution.gpus_per_trial, execution.max_concurrent)
    cluster = Cluster(of_job, cache=execution.home, metering=execution, progress=progress)
    tasks, teachers = RayTasks(ray, of_job), Teachers(ray)
    with own_folder() as folder:
        try:
            cluster.open()
            yield RayStudy(
                ray=ray,
                resources=of_job,
                cluster=cluster,
                cache=execution.home,
                carbon=execution.carbon,
                tune_folder=folder,
                tasks=tasks,
                teachers=teachers,
            )
        finally:
            tasks.cancel()
            teachers.stop()
            cluster.close()
