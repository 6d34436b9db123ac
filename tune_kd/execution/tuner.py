"""Makes the Tuner of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tune_kd.cluster.worker import Shared, train_student


def make_tuner(
    shared: Shared,
    folder: Path,
    *,
    searcher: Any,
    scheduler: Any,
    stopper: Any,
    listener: Any,
    max_failures: int,
) -> Any:
    """A Tuner whose trials train students; its actors are reused from trial to trial.

    ``folder`` is for Tune's own files. ``max_failures``: how often a trial is tried again after it has failed.
    """
    from ray import tune

    work = tune.with_parameters(train_student, shared=shared)
    return tune.Tuner(
        tune.with_resources(work, {"cpu": shared.cpus, "gpu": shared.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,  # how many run at a time, the searcher knows: nodes come and go
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=shared.run_id,
            storage_path=str(folder),
            stop=stopper,
            callbacks=[listener],
            failure_config=tune.FailureConfig(max_failures=max_failures),
            verbose=0,
        ),
    )
