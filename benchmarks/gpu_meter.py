"""Stage 3 of ``gpu.py``: how far the meter is off on this machine, and what it costs.

Programs make a fixed number of matrix products each, alone and together, under one meter. On a GPU their dynamic energy
is the GPU's, in a rehearsal the CPU's by the power model.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import gpu_burner
import gpu_power
import torch
from gpu_ceilings import calls_per_s
from gpu_workload import Stage, stage
from meter_accuracy import Result, run
from meter_overhead import overhead

from tune_kd.meter.node import NodeMeter
from tune_kd.meter.nvml import NvmlReader
from tune_kd.meter.power_model import detect
from tune_kd.meter.probe import open_readers
from tune_kd.meter.readings import NodeReaders

BURN_S = {"cpu": 0.3, "cuda": 4.0}
QUIET_S = {"cpu": 0.0, "cuda": 3.0}
OVERHEAD_S = {"cpu": 1.0, "cuda": 5.0}
PROGRAMS = {"cpu": (2,), "cuda": (1, 2, 4)}
UNEQUAL = 3  # the second of two programs has a third of the first's products
NO_NVML = "there is no NVML in a rehearsal"


def readers_of(here: Stage) -> NodeReaders:
    """The node's best readers; in a rehearsal the power model alone. An idle GPU is watched first."""
    readers = open_readers() if here.on_gpu else NodeReaders(detect())
    meter, until_s = NodeMeter(readers), time.monotonic() + QUIET_S[here.device.type]
    while time.monotonic() < until_s:
        time.sleep(1)
        meter.tick()
    return readers


def scene(here: Stage, readers: NodeReaders, products: list[int]) -> Result:
    """Programs with so many products each, at the same time; they have equal shares of the GPU."""
    program = Path(gpu_burner.__file__)
    commands = [[sys.executable, str(program), here.device.type, str(count)] for count in products]
    return run(commands, readers, {"0": 1 / len(products)} if here.on_gpu else None)


def dynamic_j(here: Stage, result: Result) -> list[float]:
    """What each program was charged of the device's energy above idle."""
    return [energy.gpu_j or 0.0 for energy in result.charged] if here.on_gpu else result.cpu_j


def conservation(here: Stage, readers: NodeReaders, products: int) -> None:
    """Trials + other + unreserved idle against the node's total, with several programs on the device."""
    for count in PROGRAMS[here.device.type]:
        what = f"meter, {count} at a time"
        with here.figures.measuring(what):
            result = scene(here, readers, [products // count] * count)
            residual = abs(result.totals.residual_j) / result.totals.total_j
            here.figures.add(f"{what}: residual", residual, note="of the node's total; it is rounding if below 1e-12")
            charged, said = dynamic_j(here, result), sum(result.said) / count
            here.figures.add(f"{what}: charged above idle", sum(charged), "J", f"programs took {said:.2f} s")
            if count > 1:
                spread = (max(charged) - min(charged)) / max(sum(charged), 1e-9)
                here.figures.add(f"{what}: largest less smallest part", spread, "share", "all have the same products")


def attribution(here: Stage, readers: NodeReaders, products: int) -> None:
    """Two unequal programs together against each alone."""
    counts = [products, products // UNEQUAL]
    alone = [sum(dynamic_j(here, scene(here, readers, [count]))) for count in counts]
    together = dynamic_j(here, scene(here, readers, counts))
    parts = [joules[0] / max(sum(joules), 1e-9) for joules in (alone, together)]
    figures = here.figures
    figures.add("meter, two unequal: the first's part, each alone", parts[0], "share")
    figures.add("meter, two unequal: the first's part, together", parts[1], "share")
    figures.add("meter, two unequal: error", 100 * (parts[1] - parts[0]), "pp")
    figures.add("meter, two unequal: joules together against alone", sum(together) / max(sum(alone), 1e-9), "times")


def counter(here: Stage, products: int) -> None:
    """NVML's energy counter against its power, integrated, under load."""
    if not here.on_gpu:
        here.figures.none("NVML: counter against integrated power", NO_NVML)
        return
    multiply, gpu = gpu_burner.product(here.device), gpu_power.first_gpu()
    with gpu_power.recording(gpu) as samples:
        for number in range(products):
            multiply()
            if number % gpu_burner.AT_A_TIME == 0:
                torch.cuda.synchronize()
    counted_j = samples[-1].energy_j - samples[0].energy_j
    integrated_j = gpu_power.integrated_j(samples)
    note = f"{counted_j:.1f} J counted, {integrated_j:.1f} J integrated, {len(samples)} samples"
    here.figures.add("NVML: counter against integrated power", counted_j / integrated_j - 1, "share", note)
    if (step_s := gpu_power.step_s(samples)) is not None:
        here.figures.add("NVML: time between advances of the counter", 1e3 * step_s, "ms", "read every 20 ms")


def beside_codecarbon(here: Stage, products: int) -> None:
    """The meter's GPU energy against codecarbon's own reader, over the same load."""
    if not here.on_gpu:
        here.figures.none("meter against codecarbon's GPU reader", NO_NVML)
        return
    import pynvml
    from codecarbon.core.gpu import AllGPUDevices
    from codecarbon.core.units import Time

    ours, theirs, multiply = NvmlReader(pynvml), AllGPUDevices(), gpu_burner.product(here.device)
    theirs.start()
    before_j, begun_s = ours.read()[0].energy_j, time.perf_counter()
    for _ in range(products):
        multiply()
    torch.cuda.synchronize()
    mine_j = ours.read()[0].energy_j - before_j
    [said, *_] = theirs.get_delta(Time.from_seconds(time.perf_counter() - begun_s))
    other_j = said["delta_energy_consumption"].kWh * 3.6e6
    note = f"{mine_j:.1f} J and {other_j:.1f} J"
    here.figures.add("meter against codecarbon's GPU reader", mine_j / other_j - 1, "share", note)


def cost(here: Stage, readers: NodeReaders) -> None:
    """What metering takes of a core, with all readers of this node."""
    took = overhead(readers, trials=8, seconds=OVERHEAD_S[here.device.type], period_s=1.0)
    here.figures.add("meter: share of one core", took.share, "share", "8 trials, at 1 Hz")
    here.figures.add("meter: a tick", 1e3 * took.tick_s, "ms", "CPU time")
    here.figures.add("meter: a mark", 1e3 * took.mark_s, "ms", "CPU time")


def main() -> None:
    here = stage("meter", __doc__)
    figures = here.figures
    torch.set_num_threads(1)
    readers = readers_of(here)
    per_s = calls_per_s(gpu_burner.product(here.device), here.device, 0.2)
    products = round(per_s * BURN_S[here.device.type])
    if readers.nvml is not None:
        gpu = readers.nvml.read()[0]
        figures.add("NVML: reader", readers.nvml.gpus[0].method)
        figures.add("NVML: SM time of processes", "unknown: by reservation" if gpu.sm_s is None else "known")
        figures.add("NVML: idle power", readers.gpu_floors[0].watts, "W", f"over {QUIET_S['cuda']:g} s")
    with figures.measuring("NVML: counter against integrated power"):
        counter(here, products)
    conservation(here, readers, products)
    with figures.measuring("meter, two unequal"):
        attribution(here, readers, products)
    with figures.measuring("meter: cost"):
        cost(here, readers)
    with figures.measuring("meter against codecarbon's GPU reader"):
        beside_codecarbon(here, products)


if __name__ == "__main__":
    main()
