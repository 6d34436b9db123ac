"""Makes the Tuner of a study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tune_kd.cluster.worker import work
from tune_kd.execution.pool import Pool
from tune_kd.execution.ray_study import RayStudy
from tune_kd.execution.tune import PoolListener, PoolScheduler, PoolSearcher, PoolStopper


def make_tuner(study: RayStudy, pool: Pool, each_step: Callable[[], object], *, max_failures: int) -> Any:
    """A Tuner whose trials are the pool's jobs; its workers are used again from job to job, whatever run they are of.

    ``max_failures``: how often a job is tried again after it has failed.
    """
    from ray import tune

    return tune.Tuner(
        tune.with_resources(work, {"cpu": study.resources.cpus, "gpu": study.resources.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=PoolSearcher(pool),
            scheduler=PoolScheduler(pool),
            num_samples=-1,  # how many run at a time, the pool knows: nodes come and go
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="pool",
            storage_path=str(study.tune_folder),
            stop=PoolStopper(pool),
            callbacks=[PoolListener(pool, each_step)],
            failure_config=tune.FailureConfig(max_failures=max_failures),
            verbose=0,
            progress_reporter=tune.CLIReporter(),  # that of a notebook clears the cell, whatever the verbosity
        ),
    )
