"""Stage 4 of ``gpu.py``: does a trial wait for the GPU inside an epoch? And the tests that need a GPU.

Two epochs are traced, one with more batches than the other: what the host waits more often in the longer one, it waits
in its batches. An epoch's own waits, at its end, are in both.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from gpu_trace import WAITING, traced
from gpu_workload import Stage, stage
from speed_trial import read, trial_of

from tune_kd.data import ImageData, ImageSet

ROOT = Path(__file__).parents[1]
BATCHES = (4, 12)
MARK = "@pytest.mark.gpu"


def waits(here: Stage, data: ImageData, batches: int) -> Mapping[str, int]:
    """The host's waits, by call, in a trial's second epoch of so many batches."""
    count = batches * here.batch
    part = ImageSet(images=data.train.images[:count], labels=data.train.labels[:count])
    trial = trial_of(here.scenario(images=count, epochs=2), replace(data, train=part), here.device)
    reports = trial.fit()
    next(reports)
    return traced(lambda: next(reports), here.device).waits


def within_batches(here: Stage) -> None:
    """Waits by batch, and those that an epoch has however long it is."""
    fewer, more = BATCHES
    data = read(here.scenario(images=more * here.batch, epochs=2), more)
    short, long = (waits(here, data, count) for count in BATCHES)
    # On a GPU torch's operators wait through CUDA's calls, and would be counted twice.
    names = [name for name in WAITING if name.startswith("cuda") == here.on_gpu]
    by_batch = {name: (long.get(name, 0) - short.get(name, 0)) / (more - fewer) for name in names}
    found = ", ".join(f"{name} {count:g}" for name, count in by_batch.items() if count)
    here.figures.add("waits for the device, a batch", sum(map(abs, by_batch.values())), note=found or "promised: none")
    own = ", ".join(f"{name} {count}" for name, count in short.items())
    here.figures.add(f"waits in an epoch of {fewer} batches", sum(short.get(name, 0) for name in names), note=own)


def gpu_tests(here: Stage) -> None:
    """The result of the tests marked ``gpu``."""
    files = [file for file in sorted((ROOT / "tests").rglob("test_*.py")) if MARK in file.read_text(encoding="utf-8")]
    words = [sys.executable, "-m", "pytest", "-rf", "-p", "no:cacheprovider", "-m", "gpu", *map(str, files)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr, sep="\n", flush=True)
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    here.figures.add("tests marked gpu", said[-1] if said else "nothing", note=f"exit status {done.returncode}")


def main() -> None:
    here = stage("waits", __doc__)
    torch.set_num_threads(here.cores)
    with here.figures.measuring("waits for the device, a batch"):
        within_batches(here)
    with here.figures.measuring("tests marked gpu"):
        gpu_tests(here)


if __name__ == "__main__":
    main()
