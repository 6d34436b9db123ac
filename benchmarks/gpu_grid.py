"""Stage 2 of ``gpu.py``: a grid of 19 trials on one GPU, in each way in which trials can share it.

Time and energy are those from the run's start to the end of its last trial: the teacher's shared pass, validation and
tests are in them, and so is the start of the workers that each way needs. The start of Ray and the teacher's training
are not. Energy is what NVML's own counter advanced.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_power
import numpy as np
from gpu_workload import ONE_WORKER, Stage, stage
from speed_trial import read

import tune_kd
from tune_kd.cluster.session import ray_session
from tune_kd.meter.counter import Unavailable

TRIALS, EPOCHS = {"cpu": 2, "cuda": 19}, {"cpu": 1, "cuda": 2}
IMAGES_PER_S = {"cpu": 0, "cuda": 150}  # of the stage's time: training images of a trial's epoch


@dataclass(frozen=True, kw_only=True)
class Way:
    """How trials share the GPU: options of the execution."""

    name: str
    options: Mapping[str, Any]


WAYS = (
    Way(name="one after another", options={"gpus_per_trial": 1}),
    Way(name="side by side in processes", options={"gpus_per_trial": 0.25}),
)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A grid that has run: seconds of the wall clock, images trained on, and joules by two accounts."""

    wall_s: float
    images: int
    charged_j: float | None  # None: some of it was not measured
    counted_j: float | None  # None: there is no counter


def ran(here: Stage, way: Way) -> Ran:
    """Run the grid in this way."""
    kind = here.device.type
    images = round(IMAGES_PER_S[kind] * here.seconds)
    settings = here.settings(images=images, epochs=EPOCHS[kind])
    trained_on = len(read(here.scenario(images=images, epochs=EPOCHS[kind]), 1).train)
    with tempfile.TemporaryDirectory() as folder, watched(here) as samples:
        store = tune_kd.run(
            "grid",
            budget=f"{TRIALS[kind]}trials",
            data=here.data,
            settings=settings,
            store=Path(folder) / "runs",
            **(way.options if here.on_gpu else ONE_WORKER),
        ).store
        run, trials = store.runs().iloc[0], store.trials()
    begin_s, end_s = run.started_at.timestamp(), trials.ended_at.max().timestamp()
    charged_j = float(trials.energy_j.sum(skipna=False) + run.shared_energy_j)
    return Ran(
        wall_s=end_s - begin_s,
        images=trained_on * int(trials.epochs.sum()),
        charged_j=None if np.isnan(charged_j) else charged_j,
        counted_j=gpu_power.counted_j(samples, begin_s, end_s) if samples else None,
    )


def watched(here: Stage) -> AbstractContextManager[list[gpu_power.Sample]]:
    """The GPU's energy counter meanwhile; no samples where there is none."""
    try:
        return gpu_power.recording(gpu_power.first_gpu()) if here.on_gpu else nullcontext([])
    except Unavailable as reason:
        here.figures.none("NVML counter", reason.why)
        return nullcontext([])


def main() -> None:
    here, first = stage("grid", __doc__), None
    # Each way pays for its own workers, so each has a Ray of its own. A rehearsal has one for all, to save time.
    with nullcontext() if here.on_gpu else ray_session(None):
        for way in WAYS:
            with here.figures.measuring(f"grid, {way.name}"):
                done = ran(here, way)
                first = first or done
                show(here, f"grid, {way.name}", done, first)


def show(here: Stage, name: str, done: Ran, first: Ran) -> None:
    """The figures of one way, beside the first that ran."""
    add = here.figures.add
    add(name, done.images / done.wall_s, "images/s", f"{done.wall_s:.1f} s")
    if done is not first:
        add(f"{name}: against the first", first.wall_s / done.wall_s, "times", "wall time")
    if done.counted_j is None:
        here.figures.none(f"{name}: NVML counter", "there is no NVML counter here")
    else:
        mj = 1e3 * done.counted_j / done.images
        add(f"{name}: NVML counter", done.counted_j, "J", f"{mj:.3g} mJ an image")
    add(f"{name}: charged", done.charged_j, "J", "CPU, RAM and GPU of trials and shared pass")


if __name__ == "__main__":
    main()
