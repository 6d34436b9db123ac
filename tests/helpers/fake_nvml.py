"""Recorded NVML: the functions of pynvml that the reader calls, answering from plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

NOT_SUPPORTED, NOT_FOUND, GPU_IS_LOST, DRIVER_NOT_LOADED = 3, 6, 15, 9


class NVMLError(Exception):
    """As pynvml's: ``value`` is the return code."""

    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


@dataclass
class FakeGpu:
    """One GPU's state. None: the function is not supported."""

    uuid: str = "GPU-aaaa"
    energy_mj: int | None = 0
    power_mw: int | None = 100_000
    utilisation: int | None = 0
    samples: list[SimpleNamespace] | None = field(default_factory=list)
    mig_instances: list[str] = field(default_factory=list)
    lost: bool = False
    unknown: bool = False  # the driver counts it and cannot open it

    def used(self, *, at_us: int, **percent_by_pid: int) -> None:
        """New utilisation samples: ``p7=40`` is process 7 at 40 %."""
        self.samples = [
            SimpleNamespace(pid=int(pid[1:]), timeStamp=at_us, smUtil=percent)
            for pid, percent in percent_by_pid.items()
        ]


class FakeNvml:
    """Stands where the module pynvml would."""

    NVMLError = NVMLError
    NVML_ERROR_NOT_FOUND = NOT_FOUND

    def __init__(self, *gpus: FakeGpu, broken: bool = False) -> None:
        self.gpus = gpus
        self.broken = broken

    def nvmlInit(self) -> None:  # noqa: N802
        if self.broken:
            raise NVMLError(DRIVER_NOT_LOADED)

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "580.0"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:  # noqa: N802
        if self.gpus[index].unknown:
            raise NVMLError(GPU_IS_LOST)
        return self.gpus[index]

    def nvmlDeviceGetIndex(self, gpu: FakeGpu) -> int:  # noqa: N802
        return self.gpus.index(gpu)

    def nvmlDeviceGetUUID(self, gpu: FakeGpu) -> str:  # noqa: N802
        return gpu.uuid

    def nvmlDeviceGetName(self, gpu: FakeGpu) -> bytes:  # noqa: N802
        return b"NVIDIA Recorded"

    def nvmlDeviceGetEnforcedPowerLimit(self, gpu: FakeGpu) -> int:  # noqa: N802
        return 700_000

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: FakeGpu) -> int:  # noqa: N802
        return _supported(gpu, gpu.energy_mj)

    def nvmlDeviceGetPowerUsage(self, gpu: FakeGpu) -> int:  # noqa: N802
        return _supported(gpu, gpu.power_mw)

    def nvmlDeviceGetUtilizationRates(self, gpu: FakeGpu) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=_supported(gpu, gpu.utilisation))

    def nvmlDeviceGetProcessUtilization(self, gpu: FakeGpu, since_us: int) -> list[SimpleNamespace]:  # noqa: N802
        if gpu.samples is None:
            raise NVMLError(NOT_SUPPORTED)
        new = [sample for sample in gpu.samples if sample.timeStamp > since_us]
        if not new:
            raise NVMLError(NOT_FOUND)
        return new

    def nvmlDeviceGetMigMode(self, gpu: FakeGpu) -> tuple[int, int]:  # noqa: N802
        return (1, 1) if gpu.mig_instances else (0, 0)

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: FakeGpu) -> int:  # noqa: N802
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: FakeGpu, index: int) -> str:  # noqa: N802
        if index >= len(gpu.mig_instances):
            raise NVMLError(NOT_FOUND)
        return gpu.mig_instances[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if not any(uuid in gpu.mig_instances for gpu in self.gpus):
            raise NVMLError(NOT_FOUND)
        return uuid

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, instance: str) -> FakeGpu:  # noqa: N802
        return next(gpu for gpu in self.gpus if instance in gpu.mig_instances)


def _supported(gpu: FakeGpu, value: int | None) -> int:
    if gpu.lost:
        raise NVMLError(GPU_IS_LOST)
    if value is None:
        raise NVMLError(NOT_SUPPORTED)
    return value
