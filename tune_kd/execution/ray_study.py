"""What the runs of a study share on Ray: data, teacher, the nodes' power models, and how work is started."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tune_kd.cluster.code import this_code
from tune_kd.cluster.nodes import Cluster, rather
from tune_kd.cluster.session import Resources
from tune_kd.cluster.worker import Shared, compute_outputs, count_flops, examine_student, make_teacher, train_student
from tune_kd.config import catalogue
from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.data.batches import steps_per_epoch
from tune_kd.errors import RunFailed
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.options import Metering
from tune_kd.planning.plan import RunPlan
from tune_kd.progress.base import Progress
from tune_kd.storage.cache import Cache
from tune_kd.storage.checkpoints import checkpoints_folder
from tune_kd.storage.scratch import own_folder
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.inputs import for_trials
from tune_kd.training.teacher import Teacher, kept_or_trained, teacher_id
from tune_kd.training.teacher_outputs import outputs_id


class Workshop:
    """Everything on Ray that outlives a run: put there once, used by all of them.

    ``taught`` says whether they need the teacher; else it stays None.
    """

    def __init__(
        self,
        ray: Any,
        resources: Resources,
        data: ImageData,
        scenario: Scenario,
        *,
        carbon: Carbon,
        cache: Cache,
        metering: Metering,
        progress: Progress,
        taught: bool = True,
    ) -> None:
        self.ray, self.resources, self.carbon, self.cache = ray, resources, carbon, cache
        self.scenario, self._progress = scenario, progress
        self.steps = steps_per_epoch(len(data.train), scenario.recipe.batch_size)
        self.data = ray.put(for_trials(data))
        self.all_data = ray.put(data)
        self._images, self._taught = data, taught
        self._teacher_id = teacher_id(scenario, data)
        self.teacher: Teacher | None = None
        self.cluster = Cluster(resources, cache=cache, metering=metering, progress=progress)
        self._opened = ExitStack()
        self._folder = self._opened.enter_context(own_folder())  # Tune's own files: nothing of them is kept

    def open(self) -> None:
        """Look at the nodes, then train the teacher if it is needed and not kept yet.

        Raises InputError for a node of no use.
        """
        self.cluster.open()
        counting = self._task(count_flops, cpus=0).remote(self.scenario, self.data)
        if self._taught:
            self.teacher = kept_or_trained(
                self.scenario, self._images, self.cache, self._train_teacher, self._progress.stage
            )
        self.counted: NetworkFlops = self.ray.get(counting)
        self._teacher_ref = self.ray.put(self.teacher)

    def _train_teacher(self) -> Teacher:
        # What a trial reserves, there is a place for. All CPUs of a node might never be free: a job's driver holds one.
        train, gpus = self._task(make_teacher, cpus=self.resources.cpus), self.resources.gpus
        try:
            teacher: Teacher = self.ray.get(train.remote(self.scenario, self.all_data, self._teacher_id, gpus))
        except self.ray.exceptions.RayError as error:
            if isinstance(cause := getattr(error, "cause", None), RunFailed):  # its text is a whole line already
                raise cause from error
            reason = str(error).strip().splitlines()[-1]
            raise RunFailed(f"the teacher {self.scenario.teacher} could not be trained: {reason}") from error
        return teacher

    def share(self, plan: RunPlan, *, outputs: bool) -> Shared:
        """What the workers of one run get; with ``outputs`` its trials share the teacher's."""
        return Shared(
            run_id=plan.run_id,
            scenario=plan.scenario,
            policy_json=catalogue.policy_record(plan.policy),
            replicate_seed=plan.seed,
            data=self.data,
            teacher=self._teacher_ref,
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
        """Where the teacher's outputs are kept, of each replicate in a folder of its own."""
        return self.cache.folder / "teacher_outputs"

    def outputs_name(self, plan: RunPlan) -> str:
        """The folder in it of the run's replicate."""
        cpus, gpus = self.resources.cpus, self.resources.gpus
        return outputs_id(self._teacher_id, plan.scenario, plan.seed, cpus=cpus, gpus=gpus)

    def ask_teacher(self, shared: Shared, epochs: list[int]) -> Any:
        """Starts the teacher on ``epochs`` and gives the reference to the cost."""
        return self._task(compute_outputs, cpus=self.resources.cpus).remote(shared, epochs)

    def prune(self, shared: Shared, keep: str | None) -> None:
        """Remove the checkpoints of a run that is complete, but for its incumbent's."""
        folder, kept = checkpoints_folder(shared.run_id), self.cache.kept
        for name in kept.names(folder):
            if name.endswith(".pt") and name != f"{keep}.pt":
                kept.remove(f"{folder}/{name}")

    def examiner(self, shared: Shared) -> Callable[[str, int, str | None], Any]:
        """Starts the examination of a trial and gives the reference to its result.

        Where it was trained, unless that node is gone: the data is there, and so is a GPU of the same kind.
        """
        task = self.ray.remote(max_retries=2)(examine_student)

        def examine(trial_id: str, attempt: int, node_id: str | None) -> Any:
            # No CPU is asked for: the trials of the run hold them all, and an ended trial's test should not wait.
            options = {"num_cpus": 0, "num_gpus": self.resources.gpus, "scheduling_strategy": rather(node_id)}
            return task.options(**options).remote(shared, trial_id, attempt, self.all_data)

        return examine

    def tuner(
        self, shared: Shared, *, searcher: Any, scheduler: Any, stopper: Any, listener: Any, max_failures: int
    ) -> Any:
        """One Tuner for one run. Its actors are reused from trial to trial."""
        from ray import tune

        work = tune.with_parameters(train_student, shared=shared)
        return tune.Tuner(
            tune.with_resources(work, {"cpu": self.resources.cpus, "gpu": self.resources.gpus}),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,  # how many run at a time, the searcher knows: nodes come and go
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=shared.run_id,
                storage_path=str(self._folder),
                stop=stopper,
                callbacks=[listener],
                failure_config=tune.FailureConfig(max_failures=max_failures),
                verbose=0,
            ),
        )

    def close(self) -> None:
        """Remove what only this command needed."""
        self.cluster.close()
        self._opened.close()

    def _task(self, function: Callable[..., Any], *, cpus: float) -> Any:
        return self.ray.remote(max_retries=2)(function).options(num_cpus=cpus, num_gpus=self.resources.gpus)
