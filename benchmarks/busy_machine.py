"""What other programs add to a trial's energy: by the hour, and at the trial's own pace.

    python benchmarks/busy_machine.py [--epochs 60]

The same training on the digits runs beside 0, 1, 2 and 4 programs that only compute, under a node meter each time. The
promise is that its energy at its own pace stays within 10 % of that beside none, as long as its CPU seconds do: these
grow where others preempt it (docs/decisions/energy.md), and the last column is without that. It takes a minute on a
calm machine, which the first row must be of: its load says whether it was.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from meter_accuracy import burning, run, say_go, wait_until_ready
from speed_trial import trial_of

from tune_kd.config.scenario import load_scenario
from tune_kd.meter.node import TrialEnergy
from tune_kd.meter.power_model import detect
from tune_kd.meter.quiet import Load, look
from tune_kd.meter.readings import NodeReaders
from tune_kd.tasks.catalogue import task_of

BURNERS = (0, 1, 2, 4)
COLUMNS = ("burners", "busy before", "took s", "CPU s", "waited s", "hourly J", "own pace J", "of first", "by CPU s")
PROMISE = 0.1


class Metered(NamedTuple):
    """The training beside so many burners, the load before they began, and the training's account."""

    burners: int
    load: Load
    account: TrialEnergy

    @property
    def own_j(self) -> float:
        """Joules at its own pace."""
        return self.account.pace.own_j or 0.0

    @property
    def own_w(self) -> float:
        """The same by CPU second."""
        return self.own_j / (self.account.pace.cpu_s or math.nan)


def main() -> None:
    """Train beside each number of burners and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60, help="of the training")
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.epochs)
        return
    print(f"| {' | '.join(COLUMNS)} |")
    print(f"{'|---' * len(COLUMNS)}|")
    found: list[Metered] = []
    for burners in BURNERS:
        found.append(beside(burners, options.epochs))
        print(row(found[-1], found[0]), flush=True)
    ratios = [of(one, found[0]) for one in found]
    off, by_second = (max(abs(ratio - 1) for ratio in kind) for kind in zip(*ratios, strict=True))
    print(f"\nEnergy at its own pace is at most {off:.0%} off that of the first row, by CPU second {by_second:.0%}.")
    print(f"The promise is {PROMISE:.0%}, of the first where CPU seconds stay as they are, of the second always.")


def beside(burners: int, epochs: int) -> Metered:
    """Train once on one CPU, beside so many programs that only compute."""
    load = look(2.0)
    command = [sys.executable, __file__, "--train", "--epochs", str(epochs)]
    with computing(burners):
        [account] = run([command], NodeReaders(detect()), cpus=1.0).accounts
    return Metered(burners, load, account)


def of(one: Metered, first: Metered) -> tuple[float, float]:
    """Its energy at its own pace as a ratio to the first, of all of it and by CPU second."""
    return one.own_j / first.own_j, one.own_w / first.own_w


def row(one: Metered, first: Metered) -> str:
    """One line of the table."""
    pace = one.account.pace
    seconds = " | ".join(f"{value or 0.0:.1f}" for value in (pace.metered_s, pace.cpu_s, pace.wait_s))
    joules = f"{one.account.energy.total_j or 0.0:.1f} | {one.own_j:.1f}"
    ratios = " | ".join(f"{ratio:.0%}" for ratio in of(one, first))
    return f"| {one.burners} | {one.load.busy_cpus:.1f} | {seconds} | {joules} | {ratios} |"


@contextmanager
def computing(burners: int) -> Iterator[None]:
    """Have so many programs compute meanwhile."""
    command = burning("endless", 0)
    programs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(burners)
    ]
    try:
        for program in programs:
            wait_until_ready(program)
            say_go(program)
        yield
    finally:
        for program in programs:
            program.kill()
            program.communicate()


def train(epochs: int) -> None:
    """Train a student on the digits, once a line has come in; then say how many CPU seconds it took."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    scenario = load_scenario("digits").changed({"recipe.epochs": epochs})
    with tempfile.TemporaryDirectory() as cache:
        data = task_of(scenario).load(scenario, Path(cache))
    reports = trial_of(scenario, data, torch.device("cpu")).fit()
    next(reports)  # the first step loads modules of torch's
    print("ready", flush=True)
    sys.stdin.readline()
    before_s = time.process_time()
    for _ in reports:
        pass
    print(time.process_time() - before_s, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
