"""The checks of ``tune-kd doctor``: what works on this machine, and the remedy if something does not."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tune_kd import formats
from tune_kd.errors import InputError, RunFailed, StoreError
from tune_kd.storage.cache import Cache, nearest, unwritable

OK, ABSENT, WARN, FAIL = MARKS = "ok", "–", "warn", "FAIL"
GIB = 2**30
LEAST_DISK_BYTES = 5 * GIB
LEAST_MEMORY_BYTES = 2 * GIB
LEAST_SHM_BYTES = 1 * GIB
NODE_S = 120  # for an answer: a node imports torch first


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at: it works, is absent and not needed, could be better, or makes a run impossible."""

    name: str
    mark: str
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        if self.mark not in MARKS:
            raise ValueError(f"a mark is one of {', '.join(MARKS)}, got {self.mark!r}")


def examine(*, store: str, cache: Cache, start_ray: bool = False, address: str | None = None) -> Iterator[Check]:
    """Every check, in the order in which a user should read them; each comes as soon as it is done.

    With the ``address`` of a cluster also its nodes.
    """
    yield python()
    yield from packages()
    yield cpus()
    yield memory()
    yield ray_starts() if start_ray else ray_imports()
    yield from gpus()
    yield compiles()
    yield from energy_readers()
    yield carbon_tables()
    yield remote_store(store) if "://" in store else disk("store", Path(store))
    if cache.url:
        yield remote_cache(cache)
    yield disk("cache", cache.folder)
    yield temporary()
    yield shared_memory(Path("/dev/shm"))
    if address is not None:
        yield from nodes(address, cache)


def python() -> Check:
    """The interpreter. Its version is checked when tune-kd is installed."""
    return Check(name="Python", mark=OK, found=f"{platform.python_version()}, {sys.executable}")


def packages() -> Iterator[Check]:
    """The versions of the packages that tune-kd needs, against its requirements."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in metadata.requires("tune-kd") or ()]
    except metadata.PackageNotFoundError:
        yield Check(name="packages", mark=WARN, found="tune-kd is not installed", advice="pip install tune-kd")
        return
    found, wrong = [], []
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        found.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
    yield Check(name="packages", mark=OK, found=f"tune-kd {metadata.version('tune-kd')}, {', '.join(found)}")
    if wrong:
        yield Check(name="packages", mark=FAIL, found="; ".join(wrong), advice="pip install --upgrade tune-kd")


def cpus() -> Check:
    """How many CPUs this process may use, and whether they are free."""
    from tune_kd.meter.quiet import look

    load = look()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else load.cpus
    found = f"{usable} of {load.cpus} usable, {_cpu_model()}; {load}"
    if not load.is_quiet:
        advice = "that makes trials slower, and dearer where energy is modelled: run with --wait-for-quiet"
        return Check(name="CPU", mark=WARN, found=found, advice=advice)
    return Check(name="CPU", mark=OK, found=found)


def _cpu_model() -> str:
    from tune_kd.meter.power_model import this_machine

    return this_machine().cpu_model or "unknown model"


def memory() -> Check:
    """How much memory is free."""
    import psutil

    there = psutil.virtual_memory()
    found = f"{formats.size(there.available)} free of {formats.size(there.total)}"
    if there.available < LEAST_MEMORY_BYTES:
        advice = f"Ray and one trial take about {formats.size(LEAST_MEMORY_BYTES)}: free some, or --max-concurrent 1"
        return Check(name="memory", mark=WARN, found=found, advice=advice)
    return Check(name="memory", mark=OK, found=found)


def ray_imports() -> Check:
    """Whether Ray Tune can be imported."""
    try:
        from ray import __version__, tune  # noqa: F401
    except ImportError as error:
        return Check(name="Ray", mark=FAIL, found=f"cannot be imported: {error}", advice="pip install 'ray[tune]'")
    return Check(name="Ray", mark=OK, found=f"{__version__} can be imported; --start-ray also starts it")


def ray_starts() -> Check:
    """Whether Ray starts here and runs a task."""
    if (imported := ray_imports()).mark == FAIL:
        return imported
    from tune_kd.cluster.session import ray_session

    try:
        with ray_session(None) as ray:
            pid = ray.get(ray.remote(lambda: os.getpid()).remote(), timeout=60)
            found = f"{ray.__version__} starts and runs a task (process {pid}), {ray.cluster_resources()['CPU']:g} CPUs"
    except Exception as error:  # any error that keeps Ray from starting is the finding
        kind = "" if isinstance(error, InputError | RunFailed) else f"{type(error).__name__}: "
        return Check(name="Ray", mark=FAIL, found=f"does not start: {kind}{str(error).strip().splitlines()[0]}")
    return Check(name="Ray", mark=OK, found=found)


def nodes(address: str, cache: Cache) -> Iterator[Check]:
    """Every node of a running cluster: its resources, whether it has this code and sees the cache."""
    from tune_kd.cluster.session import ray_session
    from tune_kd.config.address import check_address

    try:
        check_address(address)
        cache.folder.mkdir(parents=True, exist_ok=True)
        with ray_session(address) as ray, tempfile.NamedTemporaryFile(dir=cache.folder, prefix=".seen-by-") as marker:
            from tune_kd.cluster.nodes import begin_look

            alive = [node for node in ray.nodes() if node["Alive"]]
            looks = [begin_look(node["NodeID"], cache, Path(marker.name)) for node in alive]
            for node, look in zip(alive, looks, strict=True):
                yield _node(ray, node, look, cache)
    except (InputError, OSError) as error:
        yield Check(name="cluster", mark=FAIL, found=str(error), advice="ray status --address HOST:PORT says more")


def _node(ray: Any, node: dict[str, Any], answer: Any, cache: Cache) -> Check:
    from tune_kd.cluster.code import this_code

    name = f"node {node['NodeID'][:6]}"
    has = node["Resources"]
    there = f"{node['NodeManagerAddress']}, {has.get('CPU', 0):g} CPUs, {has.get('GPU', 0):g} GPUs"
    try:
        look = ray.get(answer, timeout=NODE_S)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        return Check(name=name, mark=FAIL, found=f"{there}; cannot run tune-kd: {reason}", advice="install it there")
    if difference := this_code().difference(look.code):
        return Check(
            name=name, mark=FAIL, found=f"{there}; other code: {difference}", advice="install the same tune-kd there"
        )
    if look.problem:
        return Check(name=name, mark=FAIL, found=f"{there}; {look.problem}")
    if not look.sees_folder:
        advice = "what belongs there goes through the driver; a shared folder is faster"
        return Check(name=name, mark=OK, found=f"{there}; does not see {cache.folder}", advice=advice)
    return Check(name=name, mark=OK, found=there)


def gpus() -> Iterator[Check]:
    """The devices that torch can train on."""
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda
        why = "this torch is built for CPUs" if built is None else f"torch (CUDA {built}) sees no device"
        yield Check(name="GPU", mark=ABSENT, found=f"none: {why}; trials run on CPUs")
    for index in range(torch.cuda.device_count()):
        there = torch.cuda.get_device_properties(index)
        yield Check(name=f"GPU {index}", mark=OK, found=f"{there.name}, {formats.size(there.total_memory)}")


def compiles() -> Check:
    """Whether networks can be compiled."""
    from tune_kd.models import compiler

    try:
        return Check(name="--compile", mark=OK, found=f"can be used, with the C++ compiler {compiler.compiler()}")
    except InputError as error:
        return Check(name="--compile", mark=ABSENT, found=str(error))


def energy_readers() -> Iterator[Check]:
    """The energy readers of this machine. Without counters there is always the power model."""
    import torch

    from tune_kd.meter.probe import probe

    for finding in probe():
        needed = finding.reader != "NVML" or torch.cuda.is_available()
        mark = OK if finding.works else WARN if needed else ABSENT
        yield Check(name=finding.reader, mark=mark, found=finding.why, advice=finding.remedy)


def carbon_tables() -> Check:
    """Whether CO2e can be computed, and the intensity that it would be computed with."""
    from tune_kd.meter.carbon import carbon

    default = carbon()
    found = f"{default.intensity_g_per_kwh:g} g CO2e/kWh, {default.source}"
    return Check(name="carbon", mark=OK, found=found, advice="--country ISO takes your country's")


def disk(name: str, folder: Path) -> Check:
    """Whether ``folder`` can be written, or made, and how much room it has."""
    if there := unwritable(folder):
        found = f"{folder}: {there} cannot be written"
        return Check(name=name, mark=FAIL, found=found, advice=f"give another one with --{name}")
    free_bytes = shutil.disk_usage(nearest(folder)).free
    found = f"{folder}, {formats.size(free_bytes)} free"
    if free_bytes < LEAST_DISK_BYTES:
        return Check(name=name, mark=WARN, found=found, advice=f"give one with more room with --{name}")
    return Check(name=name, mark=OK, found=found)


def remote_store(url: str) -> Check:
    """Whether the store at ``url`` answers. Whether it may be written is not tried."""
    from tune_kd.store import open_store

    try:
        open_store(url)
    except (InputError, StoreError) as error:
        advice = "a run makes it where there is nothing; credentials come from the environment"
        return Check(name="store", mark=WARN, found=str(error), advice=advice)
    return Check(name="store", mark=OK, found=f"{url} answers")


def remote_cache(cache: Cache) -> Check:
    """Whether files can be written, read, listed and deleted at the cache's URL."""
    try:
        cache.check()
    except InputError as error:
        return Check(name="cache", mark=FAIL, found=str(error))
    return Check(name="cache", mark=OK, found=f"{cache.where} can be written; it takes teachers, pools and checkpoints")


def temporary() -> Check:
    """The folder for Ray's own files: its sockets need a short path."""
    from tune_kd.cluster.session import LONGEST_FOLDER_BYTES
    from tune_kd.storage.scratch import own_folder, places

    try:
        with own_folder(LONGEST_FOLDER_BYTES) as folder:
            found = f"{folder.parent}, {formats.size(shutil.disk_usage(folder).free)} free"
    except InputError as error:
        return Check(name="temporary", mark=FAIL, found=str(error))
    advice = "" if folder.parent == places()[0] else f"{places()[0]} is too long for Ray's sockets, or not writable"
    return Check(name="temporary", mark=OK, found=found, advice=advice)


def shared_memory(folder: Path) -> Check:
    """Room for Ray's object store, which holds the data that trials share."""
    if not folder.is_dir():
        return Check(name="shared memory", mark=OK, found=f"no {folder} on this system; Ray uses files")
    total_bytes = shutil.disk_usage(folder).total
    found = f"{folder}, {formats.size(total_bytes)}"
    if total_bytes < LEAST_SHM_BYTES:
        advice = "Ray falls back to slow files: start the container with --shm-size=2g"
        return Check(name="shared memory", mark=WARN, found=found, advice=advice)
    return Check(name="shared memory", mark=OK, found=found)


def worst(checks: Iterable[Check]) -> str:
    """The worst mark among ``checks``."""
    return max((check.mark for check in checks), key=MARKS.index, default=OK)
