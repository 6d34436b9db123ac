"""How much of the machine a study uses, and what a run costs beyond its training.

Promises on 2 cores, once Ray is up: 12 runs of one training at 60 % of the cores or more, the five-policy comparison of
the README at 75 % or more, and a run's cost beyond its training 0.3 s or less. With --against the interpreter of
another version, all policies with restarts or searches are compared under both, in turn: at least 4 times faster.

    python benchmarks/pool.py [--against PYTHON] [--replicates 5]

Used of the cores is the time in which trials, tests and the teacher's shared pass ran, by the number of trials that may
run at a time, in the time from the first trial's start to the last one's end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tune_kd

README = ["grid", "random", "tpe", "annealing", "stochastic"]
SINGLE = ["fixed", "stochastic", "annealing"]
SIXTEEN = [
    *("fixed", "grid", "random", "tpe", "annealing", "stochastic", "stochastic-per-epoch", "stochastic-per-sample"),
    *("stochastic-log-uniform", "ctkd", "dtkd", "normkd", "logit-standardization", "student", "gp", "cost-aware"),
]
PROGRAM = """
import json, sys, time
import tune_kd
policies, replicates, folder = json.loads(sys.argv[1])
begun = time.perf_counter()
tune_kd.compare(policies, replicates=replicates, store=f"{folder}/runs", cache=f"{folder}/cache")
print(json.dumps(time.perf_counter() - begun))
"""


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a study made of the machine: seconds of work, wall seconds from first to last, and its number of runs."""

    work_s: float
    wall_s: float
    runs: int
    cores: int

    @property
    def share(self) -> float:
        return self.work_s / (self.wall_s * self.cores)

    @property
    def beyond_s(self) -> float:
        """Of each run: the wall time that the cores spent on no training, a core's share of it."""
        return (self.wall_s - self.work_s / self.cores) / self.runs


def measured(policies: list[str], replicates: int, folder: Path) -> Use:
    """Compare the policies on digits."""
    store = tune_kd.compare(policies, replicates=replicates, store=folder / "runs", cache=folder / "cache").store
    runs, trials = store.runs(), store.trials()
    work_s = trials.duration_s.sum() + trials.inference_s.sum()
    # The first run of a replicate that shares the teacher's outputs has them computed.
    work_s += runs[runs.shared_s > 0].drop_duplicates("replicate").shared_s.sum()
    wall_s = (trials.tested_at.max() - trials.started_at.min()).total_seconds()
    return Use(work_s=work_s, wall_s=wall_s, runs=len(runs), cores=os.cpu_count() or 1)


def seconds(python: str, replicates: int, folder: Path) -> float:
    """How long a version takes for sixteen policies; ``folder`` has its teacher already."""
    given = json.dumps([SIXTEEN, replicates, str(folder)])
    done = subprocess.run([python, "-c", PROGRAM, given], capture_output=True, text=True, check=True, cwd=folder)
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--against", help="the Python of another version's environment")
    asked.add_argument("--only-against", action="store_true", help="leave out what needs no other version")
    asked.add_argument("--replicates", type=int, default=5, help="of the sixteen policies")
    options = asked.parse_args()
    missed = []
    promises = () if options.only_against else (("12 runs", SINGLE, 4, 0.60), ("README", README, 1, 0.75))
    for name, policies, replicates, promise in promises:
        with tempfile.TemporaryDirectory() as folder:
            use = measured(policies, replicates, Path(folder))
        print(
            f"{name}: {use.work_s:.1f} s of work in {use.wall_s:.1f} s, {100 * use.share:.1f} % of {use.cores} cores "
            f"(at least {100 * promise:.0f} %)",
            flush=True,
        )
        if policies is SINGLE:
            print(f"a run beyond its training: {use.beyond_s:.2f} s (at most 0.3)")
        missed += [name] if use.share < promise else []
        missed += [f"{name}, beyond"] if policies is SINGLE and use.beyond_s > 0.3 else []
    if options.against:
        taken: dict[str, float] = {}
        for name, python in (("other", options.against), ("this", sys.executable)):
            with tempfile.TemporaryDirectory() as folder:
                taken[name] = seconds(python, options.replicates, Path(folder))
            print(f"16 policies × {options.replicates}, {name} version: {taken[name]:.1f} s", flush=True)
        print(f"{taken['other'] / taken['this']:.2f} times faster (at least 4)")
        missed += ["16 policies"] if taken["other"] < 4 * taken["this"] else []
    if missed:
        sys.exit(f"not held: {', '.join(missed)}")


if __name__ == "__main__":
    main()
