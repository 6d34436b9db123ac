"""NVIDIA GPUs through NVML: energy counter or sampled power, and the SM time of every process.

``nvml`` is the module ``pynvml``, passed in so that tests replay recorded readings.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tune_kd.meter.counter import Counter, Unavailable

MILLI = 1e-3
UPGRADE = "pip uninstall pynvml, and pip install --upgrade nvidia-ml-py"
LOOK = "nvidia-smi -q says more of a GPU that is not counted"
# The inode of Linux's first pid namespace (PROC_PID_INIT_INO); NVML names processes by their pids in it.
_HOST_PID_NAMESPACE = "pid:[4026531836]"


@dataclass(frozen=True, kw_only=True)
class GpuReading:
    """One GPU at one instant, cumulative since the reader was made.

    ``sm_s`` are seconds of the whole GPU's multiprocessors by pid; None if NVML does not report them (MIG, other
    pid namespace). ``load`` is its utilisation now, 0 to 1, None if unknown. ``gaps`` counts failed readings.
    """

    index: int
    energy_j: float
    sm_s: Mapping[int, float] | None
    load: float | None
    gaps: int


@dataclass
class _Gpu:
    """The state of one GPU between readings."""

    index: int
    handle: Any
    uuid: str
    name: str
    slices: int  # MIG instances; 1 without MIG
    method: str  # counter or sampled
    driver_limit_w: float | None
    counter: Counter = field(default_factory=Counter)
    sm_s: dict[int, float] | None = field(default_factory=dict)
    seen_us: int = 0
    read_at_s: float | None = None
    power_w: float | None = None
    sampled_j: float = 0.0


class NvmlReader:
    """All GPUs of the node that report their energy or power; ``silent`` has the reasons why others are not counted.

    Raises Unavailable, with the reason and the remedy, if there is none.
    """

    def __init__(
        self, nvml: Any, *, clock: Callable[[], float] = time.monotonic, shares_host_pids: bool | None = None
    ) -> None:
        self._nvml = nvml
        self._clock = clock
        self._host_pids = in_host_pid_namespace() if shares_host_pids is None else shares_host_pids
        self._gpus: list[_Gpu] = []
        self.silent: list[str] = []
        try:
            nvml.nvmlInit()
            self.driver = _decoded(nvml.nvmlSystemGetDriverVersion())
            for index in range(nvml.nvmlDeviceGetCount()):
                self._find(index)
        except nvml.NVMLError as error:
            raise Unavailable(
                f"NVML: {error}", "install the NVIDIA driver, or pass the GPUs into the container"
            ) from error
        except AttributeError as error:
            raise Unavailable(f"the package pynvml here is too old: {error}", UPGRADE) from error
        if not self._gpus:
            raise Unavailable(", ".join(self.silent) or "NVML sees no GPU", LOOK if self.silent else "")
        self.read()

    @property
    def gpus(self) -> tuple[_Gpu, ...]:
        """The GPUs: index, uuid, name, slices (MIG instances), method (counter or sampled), driver_limit_w."""
        return tuple(self._gpus)

    def description(self) -> dict[str, Any]:
        """The GPUs as columns of the store's ``nodes`` table."""
        limits_w = [gpu.driver_limit_w for gpu in self._gpus if gpu.driver_limit_w is not None]
        return {
            "gpu_model": ", ".join(sorted({gpu.name for gpu in self._gpus})),
            "gpus": len(self._gpus),
            "gpu_driver": self.driver,
            "power_limit_w": max(limits_w, default=None),  # of one GPU
            "mig": any(gpu.slices > 1 for gpu in self._gpus),
        }

    def index_of(self, device: str) -> int:
        """The GPU of an id as in CUDA_VISIBLE_DEVICES: an index, a UUID or a MIG instance's UUID. Raises KeyError."""
        index = int(device) if device.isdigit() else self._index_of_uuid(device)
        if index not in {gpu.index for gpu in self._gpus}:
            raise KeyError(", ".join([f"no GPU {device!r} is counted on this node", *self.silent]))
        return index

    def read(self) -> tuple[GpuReading, ...]:
        """All GPUs now. One that has vanished keeps its energy and counts a gap at every reading."""
        return tuple(self._read(gpu) for gpu in self._gpus)

    def _index_of_uuid(self, device: str) -> int | None:
        for gpu in self._gpus:
            if gpu.uuid.startswith(device):
                return gpu.index
        if (instance := self._ask("nvmlDeviceGetHandleByUUID", device)) is None:
            return None
        parent = self._ask("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", instance)
        index: int | None = None if parent is None else self._ask("nvmlDeviceGetIndex", parent)
        return index

    def _find(self, index: int) -> None:
        """Take in a GPU, or the reason why it is not counted. One that fails leaves the others counted."""
        try:
            self._gpus.append(self._describe(index))
        except Unavailable as reason:
            self.silent.append(f"GPU {index} {reason.why}")
        except self._nvml.NVMLError as error:
            self.silent.append(f"GPU {index} cannot be asked: {error}")

    def _describe(self, index: int) -> _Gpu:
        handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
        counted = self._ask("nvmlDeviceGetTotalEnergyConsumption", handle) is not None
        if not counted and self._ask("nvmlDeviceGetPowerUsage", handle) is None:
            raise Unavailable("tells neither its energy nor its power")
        mig = self._ask("nvmlDeviceGetMigMode", handle)
        limit_mw = self._ask("nvmlDeviceGetEnforcedPowerLimit", handle)
        return _Gpu(
            index=index,
            handle=handle,
            uuid=_decoded(self._nvml.nvmlDeviceGetUUID(handle)),
            name=_decoded(self._nvml.nvmlDeviceGetName(handle)),
            slices=self._mig_instances(handle) if mig and mig[0] else 1,
            method="counter" if counted else "sampled",
            driver_limit_w=None if limit_mw is None else limit_mw * MILLI,
            sm_s={} if self._host_pids else None,
        )

    def _read(self, gpu: _Gpu) -> GpuReading:
        now_s = self._clock()
        if gpu.method == "counter":
            energy_mj = self._ask("nvmlDeviceGetTotalEnergyConsumption", gpu.handle)
            gpu.counter.advance(None if energy_mj is None else energy_mj * MILLI)
        else:
            gpu.counter.advance(self._sampled_j(gpu, now_s))
        if gpu.sm_s is not None:
            self._add_sm_time(gpu, now_s)
        gpu.read_at_s = now_s
        utilisation = self._ask("nvmlDeviceGetUtilizationRates", gpu.handle)
        return GpuReading(
            index=gpu.index,
            energy_j=gpu.counter.joules,
            sm_s=None if gpu.sm_s is None else dict(gpu.sm_s),
            load=None if utilisation is None else utilisation.gpu / 100,
            gaps=gpu.counter.gaps,
        )

    def _sampled_j(self, gpu: _Gpu, now_s: float) -> float | None:
        """Power integrated by the trapezium rule: each stretch at the mean of its two ends."""
        power_mw = self._ask("nvmlDeviceGetPowerUsage", gpu.handle)
        power_w = None if power_mw is None else power_mw * MILLI
        if power_w is not None and gpu.power_w is not None and gpu.read_at_s is not None:
            gpu.sampled_j += (power_w + gpu.power_w) / 2 * (now_s - gpu.read_at_s)
        gpu.power_w = power_w
        return None if power_w is None else gpu.sampled_j

    def _add_sm_time(self, gpu: _Gpu, now_s: float) -> None:
        """NVML gives each process's mean SM utilisation in % since the last sample that was seen."""
        try:
            samples = self._nvml.nvmlDeviceGetProcessUtilization(gpu.handle, gpu.seen_us)
        except AttributeError:
            gpu.sm_s = None
            return
        except self._nvml.NVMLError as error:
            # "Not found": no process has used it since. Anything else, under MIG above all: unknown.
            if error.value != self._nvml.NVML_ERROR_NOT_FOUND:
                gpu.sm_s = None
            return
        if gpu.sm_s is None or gpu.read_at_s is None:
            gpu.seen_us = max((sample.timeStamp for sample in samples), default=gpu.seen_us)
            return
        by_pid: dict[int, list[int]] = {}
        for sample in samples:
            if sample.timeStamp > gpu.seen_us:
                by_pid.setdefault(sample.pid, []).append(sample.smUtil)
        for pid, percents in by_pid.items():
            sm_s = sum(percents) / len(percents) / 100 * (now_s - gpu.read_at_s)
            gpu.sm_s[pid] = gpu.sm_s.get(pid, 0.0) + sm_s
        gpu.seen_us = max((sample.timeStamp for sample in samples), default=gpu.seen_us)

    def _mig_instances(self, handle: Any) -> int:
        most = self._ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0
        found = [self._ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index) for index in range(most)]
        return sum(instance is not None for instance in found) or 1

    def _ask(self, function: str, *arguments: Any) -> Any:
        """An answer of NVML's; None if it has none, or if an old pynvml lacks the function."""
        asked = getattr(self._nvml, function, None)
        try:
            return None if asked is None else asked(*arguments)
        except self._nvml.NVMLError:
            return None


def in_host_pid_namespace() -> bool:
    """Whether processes here have the pids that NVML names them by; in most containers they have not."""
    namespace = Path("/proc/self/ns/pid")
    return not namespace.exists() or os.readlink(namespace) == _HOST_PID_NAMESPACE  # noqa: PTH115 (target is no path)


def _decoded(text: str | bytes) -> str:
    return text.decode() if isinstance(text, bytes) else text
