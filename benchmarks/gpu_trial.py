"""Stage 1 of ``gpu.py``: one trial against the reference loop, and where its time goes.

Speeds are medians of turns, as in ``speed_trial.py``; on a GPU the reference's loader has all cores. The step is timed
on its own, too, and compared with the two ceilings that were measured before. Networks are compiled last, which takes
longest.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import gpu_ceilings
import gpu_step
import torch
from gpu_trace import traced
from gpu_workload import Stage, stage
from speed_trial import PROMISE, engine_turns, flops_per_image, in_process, read, reference_turns, trial_of

from tune_kd.cluster.session import KEEP_MEMORY
from tune_kd.data import ImageData
from tune_kd.errors import InputError
from tune_kd.models.compiler import compiler
from tune_kd.training.costs import NetworkFlops

BATCHES, ROUNDS = {"cpu": 3, "cuda": 64}, {"cpu": 1, "cuda": 3}
MEASURED_S = {"cpu": 0.2, "cuda": 2.0}
TRACED_STEPS = 5
REHEARSED = {**KEEP_MEMORY, "TORCH_COMPILE_DISABLE": "1"}  # all but the minute of compiling
NO_GPU = "there is none of it on a CPU"


def turns_of(here: Stage, *, compiled: bool = False) -> argparse.Namespace:
    """The options of ``speed_trial.py`` for this stage."""
    rounds, batches = ROUNDS[here.device.type], BATCHES[here.device.type]
    return argparse.Namespace(
        scenario=here.scenario(images=here.batch * batches, epochs=rounds + 1, compiled=compiled),
        batches=batches,
        rounds=rounds,
        threads=here.cores,
        workers=here.cores,
    )


def speeds(here: Stage, data: ImageData) -> float:
    """Reference and engine in turn; the engine's images/s."""
    options = turns_of(here)
    reference = in_process(reference_turns, data, options, {})
    engine = in_process(engine_turns, data, options, KEEP_MEMORY)
    turns = [(next(reference)[0], next(engine)[0]) for _ in range(options.rounds)]
    theirs, ours = (statistics.median(speed) for speed in zip(*turns, strict=True))
    here.figures.add("one trial: reference loop", theirs, "images/s", f"{options.workers} loader processes")
    here.figures.add("one trial: engine", ours, "images/s")
    ratios = ", ".join(f"{mine / other:.2f}" for other, mine in turns)
    promise = PROMISE[here.device.type]
    here.figures.add("one trial: ratio", ours / theirs, "times", f"promised {promise:g}; turns {ratios}")
    return ours


def compiled_speed(here: Stage, data: ImageData, plain: float | None) -> None:
    """The engine with ``--compile``."""
    try:
        compiler()
    except InputError as error:
        here.figures.none("one trial: engine with --compile", str(error))
        return
    options = turns_of(here, compiled=True)
    engine = in_process(engine_turns, data, options, KEEP_MEMORY if here.on_gpu else REHEARSED)
    speed = statistics.median(next(engine)[0] for _ in range(options.rounds))
    note = "compiling itself is not in it" if here.on_gpu else "nothing is compiled in a rehearsal"
    here.figures.add("one trial: engine with --compile", speed, "images/s", note)
    if plain is not None:
        here.figures.add("one trial: --compile against plain", speed / plain, "times")


def where_time_goes(here: Stage, data: ImageData, most: gpu_ceilings.Ceilings, flops: int) -> None:
    """A step's FLOP/s and bytes/s against the ceilings, and the share of its time in which the GPU is busy."""
    scenario, figures = turns_of(here).scenario, here.figures
    step = gpu_step.step_of(trial_of(scenario, data, here.device))
    per_s = gpu_ceilings.calls_per_s(step, here.device, MEASURED_S[here.device.type])
    figures.add("a step", 1e3 / per_s, "ms", f"batch {here.batch}, without augmentation")
    flop_share = flops * here.batch * per_s / most.flop_per_s
    figures.add("a step: share of the measured FLOP/s", flop_share, "share", "arithmetic as the engine counts it")
    moved = gpu_step.bytes_of(step)
    byte_share = moved * per_s / most.byte_per_s
    figures.add("a step: bytes", moved / 1e6, "MB", "tensors that operators read and write, each once an operator")
    figures.add("a step: share of the measured bytes/s", byte_share, "share", "of these bytes; caches save some")
    on_the_gpu(here, step, (flop_share, byte_share), per_s)


def on_the_gpu(here: Stage, step: Callable[[], None], shares: tuple[float, float], per_s: float) -> None:
    """How busy the GPU is in a step, and the same step as one CUDA graph."""

    def some_steps() -> None:
        for _ in range(TRACED_STEPS):
            step()

    trace = traced(some_steps, here.device)
    if not here.on_gpu:
        for what in ("a step: kernels", "a step: GPU busy", "a step waits for", "a step as a CUDA graph"):
            here.figures.none(what, NO_GPU)
        return
    busy = trace.busy_s / TRACED_STEPS * per_s
    here.figures.add("a step: kernels", trace.kernels / TRACED_STEPS)
    here.figures.add(
        "a step: GPU busy", busy, "share", "time in kernels, traced, of a step's time without the profiler"
    )
    here.figures.add("a step waits for", gpu_step.bound_by(busy, *shares), note=f"launches if busy < {gpu_step.BUSY:g}")
    replay = gpu_step.captured(step)
    graph_per_s = gpu_ceilings.calls_per_s(replay, here.device, MEASURED_S[here.device.type])
    here.figures.add("a step as a CUDA graph", 1e3 / graph_per_s, "ms", "the engine uses none: what one would give")
    here.figures.add("a step as a CUDA graph, against plain", graph_per_s / per_s, "times")


def main() -> None:
    here = stage("trial", __doc__)
    torch.set_num_threads(here.cores)
    torch.set_flush_denormal(True)
    figures, plain, most = here.figures, None, None
    with figures.measuring("ceilings"):
        most = gpu_ceilings.ceilings(here.device, MEASURED_S[here.device.type])
        figures.add("ceiling: matrix product, bfloat16", most.flop_per_s / 1e12, "TFLOP/s")
        figures.add("ceiling: copy", most.byte_per_s / 1e9, "GB/s", "bytes read and bytes written")
    options = turns_of(here)
    data = read(options.scenario, options.batches)
    flops = flops_per_image(NetworkFlops.count(options.scenario, data))
    with figures.measuring("one trial"):
        plain = speeds(here, data)
        if most is not None:
            share = plain * flops / most.flop_per_s
            figures.add("one trial: share of the measured FLOP/s", share, "share", f"{flops / 1e9:.3f} GFLOPs an image")
    with figures.measuring("a step"):
        if most is not None:
            where_time_goes(here, data, most, flops)
    with figures.measuring("one trial: engine with --compile"):
        compiled_speed(here, data, plain)


if __name__ == "__main__":
    main()
