"""What students side by side gain: README's five-policy comparison with and without them, in turn, and single steps.

Promise (2 cores): the comparison takes at most 1/1.5 of the time. It is timed from the start of its first trial to the
end of its last test, without the start of Ray and the teacher, which are the same either way. The trials' CPU energy is
shown beside it, by the power model in proportion to their CPU seconds: it says what was saved where the machine has
other work, too.

    python benchmarks/side_by_side.py [--rounds 3] [--networks digits-student,wrn-16-1,mobilenetv2] [--steps-only]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import tune_kd
from tune_kd.config.scenario import load_scenario
from tune_kd.data import ImageData, ImageSet
from tune_kd.training.process import as_in_a_worker
from tune_kd.training.stackable import try_stacking

TUNE_KD = Path(sys.executable).with_name("tune-kd")
POLICIES = "grid,random,tpe,annealing,stochastic"
PROMISE = 1.5


def comparison(folder: Path, name: str, *words: str) -> tuple[float, float, float]:
    """Seconds, joules of the trials' CPUs, and trials side by side in the mean, of one comparison."""
    store = folder / name
    where = ["--store", str(store), "--cache", str(folder / "cache"), "--quiet"]
    command = [TUNE_KD, "compare", "--policies", POLICIES, "--budget", "20trials", *words, *where]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    trials = tune_kd.open_store(store).trials()
    seconds = (trials.tested_at.max() - trials.started_at.min()).total_seconds()
    return seconds, trials.energy_cpu_j.sum(), trials.side_by_side.mean()


def steps(network: str) -> str:
    """The gain of training steps alone, for one network at the size of its images."""
    digits = network == "digits-student"
    size, channels, classes = (8, 1, 10) if digits else (32, 3, 100)
    scenario = load_scenario("digits" if digits else "cifar100").changed({"student": network})
    nothing = ImageSet(images=np.zeros((2, channels, size, size), np.uint8), labels=np.zeros(2, np.int64))
    names = tuple(map(str, range(classes)))
    data = ImageData(name="noise", classes=names, train=nothing, validation=nothing, test=nothing)
    found = try_stacking(scenario, data, torch.device("cpu"))
    batch = scenario.recipe.batch_size
    if found.gain is None:
        return f"  {network}: cannot be stacked: {found.refused}"
    return f"  {network}, batches of {batch}: {found.gain:.2f} times as fast as one, pays: {found.pays}"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--networks", default="digits-student,wrn-16-1,mobilenetv2")
    asked.add_argument("--steps-only", action="store_true")
    options = asked.parse_args()
    print("steps of 4 students on one core, forward and backward:")
    with as_in_a_worker(1):
        for network in options.networks.split(","):
            print(steps(network), flush=True)
    if options.steps_only:
        return
    found: dict[str, list[tuple[float, float, float]]] = {"1": [], "auto": []}
    with tempfile.TemporaryDirectory() as folder:
        comparison(Path(folder), "warm")  # trains the teacher
        for turn in range(options.rounds):
            for asked_for, measured in found.items():
                measured.append(comparison(Path(folder), f"{asked_for}-{turn}", "--side-by-side", asked_for))
                seconds, joules, beside = measured[-1]
                print(
                    f"--side-by-side {asked_for}: {seconds:.1f} s, {joules:.1f} J of CPUs, {beside:.1f} as one",
                    flush=True,
                )
    for what, place in ((f"time (promise on 2 cores {PROMISE:g})", 0), ("CPU energy of the trials", 1)):
        alone, beside = (statistics.median(each[place] for each in measured) for measured in found.values())
        print(f"{what}: {alone / beside:.2f} times less")


if __name__ == "__main__":
    main()
