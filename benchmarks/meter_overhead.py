"""What the node's meter costs: CPU time of ticks and marks, with 8 trials registered.

    python benchmarks/meter_overhead.py [--seconds 30] [--trials 8] [--threads 30] [--period 1.0]

Prints the share of one core that a meter at the given period takes; the promise is at most 0.5 % at 1 Hz. A trial has
the threads of a Ray worker, each of which is read. CPU seconds grow on a busy machine: the first line says whether it
was calm.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from tune_kd.meter.node import NodeMeter
from tune_kd.meter.probe import open_readers
from tune_kd.meter.processes import scan
from tune_kd.meter.quiet import look
from tune_kd.meter.readings import NodeReaders

MARKS = 200
THREADS = 30
SLEEPER = """
import sys, threading
for _ in range(int(sys.argv[1]) - 1):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print("ready", flush=True)
input()
"""


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """CPU seconds of the meter's calls, and the share of one core that it takes at its period."""

    tick_s: float
    snapshot_s: float
    mark_s: float
    share: float


def overhead(readers: NodeReaders, *, trials: int, threads: int = THREADS, seconds: float, period_s: float) -> Overhead:
    """Register sleeping processes of so many threads, tick for a while, then mark."""
    command = [sys.executable, "-c", SLEEPER, str(threads)]
    sleepers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(trials)]
    for sleeper in sleepers:
        assert sleeper.stdout is not None
        sleeper.stdout.readline()
    meter = NodeMeter(readers, period_s=period_s)
    for sleeper in sleepers:
        meter.register(str(sleeper.pid), sleeper.pid, cpus=0.25)

    def wait_and_tick() -> None:
        time.sleep(period_s)
        meter.tick()

    ticks = round(seconds / period_s)
    tick_s = cpu_s(wait_and_tick, ticks)
    snapshot_s = cpu_s(meter.snapshot, ticks)
    mark_s = cpu_s(lambda: meter.mark(str(sleepers[0].pid)), MARKS)
    for sleeper in sleepers:
        sleeper.kill()
        sleeper.communicate()
    return Overhead(tick_s=tick_s, snapshot_s=snapshot_s, mark_s=mark_s, share=(tick_s + snapshot_s) / period_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--threads", type=int, default=THREADS, help="of each trial")
    parser.add_argument("--period", type=float, default=1.0)
    options = parser.parse_args()
    load = look(2.0)
    print(f"{'calm' if load.is_quiet else 'busy, so these are too much'}: {load}")
    took = overhead(
        open_readers(),
        trials=options.trials,
        threads=options.threads,
        seconds=options.seconds,
        period_s=options.period,
    )
    print(f"{options.trials} trials of {options.threads} threads, {len(scan())} processes on the node")
    print(f"tick     {took.tick_s * 1e3:6.2f} ms CPU")
    print(f"snapshot {took.snapshot_s * 1e3:6.2f} ms CPU")
    print(f"mark     {took.mark_s * 1e3:6.2f} ms CPU")
    print(f"meter    {took.share:.2%} of one core at {1 / options.period:g} Hz")


def cpu_s(action: Callable[[], object], times: int) -> float:
    """Mean CPU seconds of this process for one ``action``."""
    before_s = time.process_time()
    for _ in range(times):
        action()
    return (time.process_time() - before_s) / times


if __name__ == "__main__":
    main()
