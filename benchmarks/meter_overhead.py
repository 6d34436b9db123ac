"""What the node's meter costs: CPU time of ticks and marks, with 8 trials registered.

    python benchmarks/meter_overhead.py [--seconds 30] [--trials 8] [--period 1.0]

Prints the share of one core that a meter at the given period takes; the promise is at most 0.5 % at 1 Hz.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

from tune_kd.meter.node import NodeMeter
from tune_kd.meter.probe import open_readers
from tune_kd.meter.processes import scan

MARKS = 200


def main() -> None:
    """Register sleeping processes, tick for a while, then mark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--period", type=float, default=1.0)
    options = parser.parse_args()

    sleepers = [
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(options.trials)
    ]
    meter = NodeMeter(open_readers(), period_s=options.period)
    for sleeper in sleepers:
        meter.register(str(sleeper.pid), sleeper.pid, cpus=0.25)

    def wait_and_tick() -> None:
        time.sleep(options.period)
        meter.tick()

    ticks = round(options.seconds / options.period)
    tick_s = cpu_s(wait_and_tick, ticks)
    snapshot_s = cpu_s(meter.snapshot, ticks)
    mark_s = cpu_s(lambda: meter.mark(str(sleepers[0].pid)), MARKS)
    for sleeper in sleepers:
        sleeper.kill()
        sleeper.wait()

    share = (tick_s + snapshot_s) / options.period
    print(f"{options.trials} trials, {len(scan())} processes on the node")
    print(f"tick     {tick_s * 1e3:6.2f} ms CPU")
    print(f"snapshot {snapshot_s * 1e3:6.2f} ms CPU")
    print(f"mark     {mark_s * 1e3:6.2f} ms CPU")
    print(f"meter    {share:.2%} of one core at {1 / options.period:g} Hz")


def cpu_s(action: Callable[[], object], times: int) -> float:
    """Mean CPU seconds of this process for one ``action``."""
    before_s = time.process_time()
    for _ in range(times):
        action()
    return (time.process_time() - before_s) / times


if __name__ == "__main__":
    main()
