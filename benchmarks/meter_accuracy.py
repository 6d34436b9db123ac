"""How far the meter is off: the table of docs/metering.md, measured on this computer.

    python benchmarks/meter_accuracy.py [--cpu-seconds 10]

Programs that burn a known amount of CPU time run alone, then together under one node meter. Their exact CPU
seconds come from the kernel (getrusage, µs); what they were charged is compared with that, and with what the
same program was charged on its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tune_kd.meter.energy import Energy
from tune_kd.meter.node import NodeMeter, TrialEnergy
from tune_kd.meter.node_ledger import NodeTotals
from tune_kd.meter.power_model import PowerModel, detect
from tune_kd.meter.readings import NodeReaders

BURNER = Path(__file__).parents[1] / "tests" / "helpers" / "burner.py"
SCENES = {
    "1 alone": ["alone"],
    "2 at a time": ["alone", "alone"],
    "4 at a time": ["alone"] * 4,
    "1 + 1 forking": ["alone", "forking"],
}


class Result(NamedTuple):
    """One scene: per program what it said of its use, and its account; then the node's."""

    said: list[float]
    accounts: list[TrialEnergy]
    totals: NodeTotals

    @property
    def charged(self) -> list[Energy]:
        """The energy that each program was charged."""
        return [account.energy for account in self.accounts]

    @property
    def cpu_j(self) -> list[float]:
        """The dynamic joules of CPUs that each program was charged."""
        return [energy.cpu_j or 0.0 for energy in self.charged]


def main() -> None:
    """Run all scenes and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu-seconds", type=float, default=10.0, help="of each program")
    options = parser.parse_args()

    power = detect()
    results = {
        scene: run([burning(kind, options.cpu_seconds) for kind in kinds], NodeReaders(power))
        for scene, kinds in SCENES.items()
    }
    alone = results["1 alone"]
    alone_j_per_s = alone.cpu_j[0] / alone.said[0]
    print("| programs | CPU s, largest error | share, largest error | J per CPU s against alone | residual |")
    print("|---|---|---|---|---|")
    for scene, result in results.items():
        print(row(scene, result, alone_j_per_s, power))


def row(scene: str, result: Result, alone_j_per_s: float, power: PowerModel) -> str:
    """One line of the table."""
    j_per_s, exact_s = power.cpu_dynamic_j(1.0), result.said
    seconds = [charged / j_per_s / exact - 1 for charged, exact in zip(result.cpu_j, exact_s, strict=True)]
    whole_j, whole_s = sum(result.cpu_j), sum(exact_s)
    share = max(abs(charged / whole_j - exact / whole_s) for charged, exact in zip(result.cpu_j, exact_s, strict=True))
    against = whole_j / whole_s / alone_j_per_s - 1
    residual = abs(result.totals.residual_j) / result.totals.total_j
    return f"| {scene} | {max(map(abs, seconds)):.2%} | {share * 100:.2f} pp | {against:+.2%} | {residual:.0e} |"


def burning(kind: str, cpu_s: float) -> list[str]:
    """The command of a program that uses the CPU for so many of its own seconds."""
    return [sys.executable, str(BURNER), kind, str(cpu_s)]


def run(
    commands: Sequence[Sequence[str]],
    readers: NodeReaders,
    gpus: Mapping[str, float] | None = None,
    cpus: float | None = None,
) -> Result:
    """Run the programs at the same time under one meter that ticks once a second.

    Each reserves so many ``cpus``, or its part of all, and of each GPU the share that ``gpus`` has for it.
    """
    meter, over, lock = NodeMeter(readers), threading.Event(), threading.Lock()

    def tick() -> None:
        while not over.wait(meter.period_s):
            with lock:
                meter.tick()

    ticking = threading.Thread(target=tick)
    programs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for command in commands
    ]
    for program in programs:
        wait_until_ready(program)
    ticking.start()
    with lock:
        for program in programs:
            reserved = readers.power.cpus / len(commands) if cpus is None else cpus
            meter.register(str(program.pid), program.pid, cpus=reserved, gpus=gpus)
    for program in programs:
        say_go(program)
    said = [float(program.stdout.readline()) for program in programs if program.stdout]
    with lock:
        accounts = [meter.unregister(str(program.pid)) for program in programs]
        totals = meter.snapshot().totals
    over.set()
    ticking.join()
    for program in programs:
        program.communicate("\n")
    return Result(said, accounts, totals)


def wait_until_ready(program: subprocess.Popen[str]) -> None:
    """The burner says so once it has started: only what it burns is metered."""
    if program.stdout and program.stdout.readline() != "ready\n":
        raise SystemExit(f"the program {program.args} did not start")


def say_go(program: subprocess.Popen[str]) -> None:
    """The burner waits for a line."""
    if program.stdin:
        program.stdin.write("\n")
        program.stdin.flush()


if __name__ == "__main__":
    main()
