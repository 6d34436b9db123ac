"""Stage 0 of ``gpu.py``: what the figures were measured on. The exit status is 3 where there is no GPU."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version

import torch
from gpu_workload import stage

from tune_kd.meter.counter import Unavailable
from tune_kd.meter.power_model import this_machine
from tune_kd.meter.probe import open_readers

NO_GPU = 3
PACKAGES = ("torch", "torchvision", "ray", "nvidia-ml-py")


def main() -> None:
    here = stage("machine", __doc__)
    if here.on_gpu and not torch.cuda.is_available():
        print("there is no CUDA GPU here that torch can use; --device cpu rehearses without one")
        sys.exit(NO_GPU)
    add = here.figures.add
    add("date", f"{datetime.now(UTC):%Y-%m-%d}")
    add("CPU", this_machine().cpu_model, note=f"{len(os.sched_getaffinity(0))} cores")
    if here.on_gpu:
        card = torch.cuda.get_device_properties(0)
        add("GPU", card.name, note=f"{card.total_memory / 2**30:.0f} GiB, {card.multi_processor_count} multiprocessors")
        add("CUDA of torch", torch.version.cuda)
        with here.figures.measuring("NVML"):
            readers = open_readers()
            if readers.nvml is None:
                raise Unavailable("NVML sees no GPU whose energy can be counted")
            about = readers.nvml.description()
            add("GPU driver", about["gpu_driver"], note=f"power limit {about['power_limit_w']} W, MIG {about['mig']}")
    add("Python", platform.python_version())
    for package in PACKAGES:
        with here.figures.measuring(package):
            add(package, version(package))


if __name__ == "__main__":
    main()
