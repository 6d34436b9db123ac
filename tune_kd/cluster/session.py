"""One Ray for one command: started or joined, quiet, and given back."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from tune_kd.cluster.interruption import undisturbed
from tune_kd.errors import InputError, RunFailed
from tune_kd.formats import plural
from tune_kd.own_packages import workers_path
from tune_kd.storage.home import ray_token
from tune_kd.storage.scratch import own_folder

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # no snapshots: a run is resumed from the store
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the runner has its own
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",  # what there is room for starts at once; the searcher knows the room
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}

# A worker keeps the memory that a training step gives back, as the next step takes it again. By default glibc returns
# every large block to the kernel, which clears it anew: a quarter of a grid's time on a CPU (docs/speed.md). It reads
# these at the start of a process. With one arena all threads share what is kept.
KEEP_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TOP_PAD_": str(256 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**60),
}

# Ray ends a worker that idles for a second. Examinations come one at a time, seconds apart, and each would
# import torch again in a new process.
IDLE_WORKER_MS = 600_000

STARTS = 3
TOO_SLOW = "timed out during startup"  # in what Ray says of a start that a busy machine was too slow for

# A Unix socket's path has at most 107 bytes on Linux, 103 elsewhere. Below its folder, Ray takes this for the longest.
_LONGEST_SOCKET = "/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
LONGEST_FOLDER_BYTES = (107 if sys.platform == "linux" else 103) - len(_LONGEST_SOCKET)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a trial reserves, and the most trials that run at a time; None: as many as fit."""

    cpus: float
    gpus: float
    most: int | None = None

    def fits(self, node: Mapping[str, float]) -> int:
        """How many trials a node with these resources holds at a time. A trial's GPUs are of one node."""
        by_cpu, gpus = _times(node.get("CPU", 0), self.cpus), node.get("GPU", 0)
        if not self.gpus:
            return by_cpu
        # A part of a GPU never spans two.
        return min(by_cpu, int(gpus) * _times(1, self.gpus) if self.gpus < 1 else _times(gpus, self.gpus))


def _times(there: float, each: float) -> int:
    """How often ``each`` is in ``there``: 1 holds 0.1 ten times, whatever binary fractions say."""
    return int(there / each + 1e-6)


@contextmanager
def ray_session(address: str | None) -> Iterator[Any]:
    """The ``ray`` module, connected. A Ray that was running before, the caller's or a cluster's, is left running."""
    os.environ.update(_unset(QUIET))
    import ray

    if ray.is_initialized():
        yield ray
        return
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    with ExitStack() as stack:
        # Ray never removes what it leaves in its own /tmp/ray.
        folder = None if address else str(stack.enter_context(own_folder(longest_bytes=LONGEST_FOLDER_BYTES)))
        stack.callback(_stop, ray)
        with undisturbed():
            _start(ray, address, folder)
        yield ray


def _stop(ray: Any) -> None:
    """Leave Ray; what it started here is killed, as it does not hear of SIGTERM (see :func:`undisturbed`)."""
    node = ray._private.worker._global_node
    ours = [info.process for infos in node.all_processes.values() for info in infos] if node else []
    left = [child for process in ours for child in _children(process.pid)]
    for process in ours:
        process.terminate = process.kill  # which ray.shutdown calls, and would wait for each of them for a second
    with undisturbed():
        ray.shutdown()
    for child in left:  # agents and workers that have not noticed yet
        with suppress(psutil.NoSuchProcess):
            child.kill()


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _unset(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of ``variables`` that this process's environment does not set otherwise."""
    return {name: value for name, value in variables.items() if name not in os.environ}


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """``variables`` in this process's environment, for the processes that are started meanwhile."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


def _start(ray: Any, address: str | None, folder: str | None) -> None:
    common = {"log_to_driver": False, "logging_level": "ERROR", "job_config": _job_config()}
    # Ray still prints the last words of nodes and workers that died, on stdout, which is for results.
    ray._private.worker._worker_logs_enabled = False
    memory = _unset(KEEP_MEMORY)
    if address:
        try:
            ray.init(address=address, runtime_env={"env_vars": memory}, **common)
        except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:  # by turns, for the same reasons
            raise InputError(_not_let_in(address, error)) from error
        return
    try:
        os.environ.update(ray_token())  # for good: Ray reads it once
        with environment(memory):
            _start_here(
                ray,
                include_dashboard=False,
                num_cpus=_cpus(),
                _temp_dir=folder,
                _system_config={"idle_worker_killing_time_threshold_ms": IDLE_WORKER_MS},
                **common,
            )
    except Exception as error:
        raise RunFailed(
            f"Ray did not start here, go on with `tune-kd resume` and the same options: {_not_started(error)}"
        ) from error


def _start_here(ray: Any, **options: Any) -> None:
    """Start a Ray of one's own, and again where a busy machine is too slow for it.

    Ray's node gives up after 15 s in which its agent has not started, and no option changes that. The driver misses the
    node half a minute later.
    """
    for left in reversed(range(STARTS)):
        try:
            ray.init(address="local", **options)
            return
        except Exception as error:
            if TOO_SLOW not in str(error) or not left:
                raise
        for process in _children(os.getpid()):
            with suppress(psutil.NoSuchProcess):
                if options["_temp_dir"] in " ".join(process.cmdline()):  # the last start's, and nobody else's
                    process.kill()


def _cpus() -> int | None:
    """How many CPUs Ray is to count here, where it would count none: it rounds a container's quota down."""
    from ray._private.utils import get_num_cpus

    return None if get_num_cpus(override_docker_cpu_warning=True) >= 1 else 1


def _not_started(error: Exception) -> str:
    """Why Ray did not start, in one line."""
    if type(error).__name__ == "AccessDenied":  # of the psutil that Ray brings
        return "it may not look at other users' processes; mount /proc with hidepid=2 or 0 instead of 1"
    return next(iter(str(error).splitlines()), type(error).__name__)


def _job_config() -> Any:
    """What makes workers import from where this driver does: Ray would put the working folder first, for all."""
    from ray.job_config import JobConfig

    class DriversPath(JobConfig):
        def _runtime_env_has_working_dir(self) -> bool:
            return True  # what Ray asks before it adds folders of its own choice

    # Each is put before what is there.
    return DriversPath(_py_driver_sys_path=list(reversed(workers_path())))


def _not_let_in(address: str, error: Exception) -> str:
    """Why a cluster cannot be joined, in one line, of what Ray says in several."""
    versions = re.findall(r"^\s*(Ray|Python): (\S+)", str(error), re.MULTILINE)  # the cluster's, then ours
    if len(versions) == 4:
        there, here = (" and ".join(map(" ".join, versions[at : at + 2])) for at in (0, 2))
        return f"the Ray cluster at {address!r} runs {there}, this command {here}: they must be the same on every node"
    # After a refused token Ray adds pages of advice.
    reason = str(getattr(error, "message", error)).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    return (
        f"no Ray cluster lets this command in at {address!r}: {reason}; one with a token wants RAY_AUTH_MODE=token and "
        f"the same token here, in ~/.ray/auth_token or the file that RAY_AUTH_TOKEN_PATH names"
    )


def resources(ray: Any, cpus_per_trial: float, gpus_per_trial: float | None, max_concurrent: int | None) -> Resources:
    """What each trial reserves of what there is. Raises InputError when no node has that."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = float(any(node.get("GPU") for node in nodes)) if gpus_per_trial is None else gpus_per_trial
    if gpus > 1 and gpus != int(gpus):
        raise InputError(f"--gpus-per-trial must be a whole number or ≤ 1, got {gpus:g}")
    wanted = Resources(cpus=cpus_per_trial, gpus=gpus, most=max_concurrent)
    if not any(wanted.fits(node) for node in nodes):
        asked = f"--cpus-per-trial {cpus_per_trial:g}" + (f" and --gpus-per-trial {gpus:g}" if gpus else "")
        raise InputError(f"{asked}: no node has that much; Ray has {_offer(nodes)}")
    return wanted


def _offer(nodes: list[Mapping[str, float]]) -> str:
    """The nodes in words: ``2 nodes with 8 CPUs and 1 GPU, 1 node with 4 CPUs and 0 GPUs``."""
    kinds = Counter((node.get("CPU", 0), node.get("GPU", 0)) for node in nodes)
    return ", ".join(
        f"{plural(number, 'node')} with {plural(cpus, 'CPU')} and {plural(gpus, 'GPU')}"
        for (cpus, gpus), number in kinds.most_common()
    )
