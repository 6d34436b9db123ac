"""One Ray for one command: started or joined, quiet, and given back."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tune_kd.errors import InputError

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # no snapshots: a run goes on from the store
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the runner has its own
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}

# Ray ends a worker that idles for a second. Examinations come one at a time, seconds apart, and each would
# import torch again in a new process.
IDLE_WORKER_MS = 600_000


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a trial reserves, and how many run at a time."""

    cpus: float
    gpus: float
    concurrent: int


@contextmanager
def ray_session(address: str | None) -> Iterator[Any]:
    """The ``ray`` module, connected. A Ray that was running before, the caller's or a cluster's, is left running."""
    if address is not None and address.startswith("ray://"):
        raise InputError(
            f"the address {address!r} is a Ray client's: the run would write its store on the head node; "
            f"use `ray job submit --address http://HEAD:8265 -- tune-kd run …` instead"
        )
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    import ray

    if ray.is_initialized():
        yield ray
        return
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    remove_abandoned(Path("/tmp"))
    # Ray never cleans /tmp/ray, and its socket paths must stay short.
    folder = None if address else tempfile.mkdtemp(prefix=own_prefix(), dir="/tmp")
    try:
        _start(ray, address, folder)
        yield ray
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def own_prefix() -> str:
    """How the names of this process's temporary folders begin."""
    return f"tune-kd-{os.getpid()}-"


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary folders of processes that were killed and could not clean up."""
    for left in folder.glob("tune-kd-*-*"):
        pid = left.name.split("-")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _start(ray: Any, address: str | None, folder: str | None) -> None:
    common = {"log_to_driver": False, "logging_level": "ERROR"}
    if address:
        try:
            ray.init(address=address, **common)
        except ConnectionError as error:
            raise InputError(f"no Ray cluster answers at {address!r}: {str(error).splitlines()[0]}") from error
        return
    ray.init(
        address="local",
        include_dashboard=False,
        _temp_dir=folder,
        _system_config={"idle_worker_killing_time_threshold_ms": IDLE_WORKER_MS},
        **common,
    )


def resources(ray: Any, cpus_per_trial: float, gpus_per_trial: float | None, max_concurrent: int | None) -> Resources:
    """What each trial reserves of what there is. Raises InputError when it asks for more than any node has."""
    there = ray.cluster_resources()
    gpus = (1.0 if there.get("GPU", 0) else 0.0) if gpus_per_trial is None else gpus_per_trial
    for kind, wanted, option in (("CPU", cpus_per_trial, "--cpus-per-trial"), ("GPU", gpus, "--gpus-per-trial")):
        most = max(node["Resources"].get(kind, 0) for node in ray.nodes() if node["Alive"])
        if wanted > most:
            raise InputError(f"{option} {wanted:g}: no node has more than {most:g} {kind}s")
    fits = there.get("CPU", 0) // cpus_per_trial
    if gpus:
        fits = min(fits, there["GPU"] // gpus)
    concurrent = int(fits) if max_concurrent is None else min(int(fits), max_concurrent)
    return Resources(cpus=cpus_per_trial, gpus=gpus, concurrent=max(1, concurrent))
