"""A program that uses the CPU for a given number of its own CPU seconds, alone or through children.

    python burner.py alone 3.0      itself
    python burner.py forking 3.0    through a row of children, each of which ends and is waited for
    python burner.py endless 0      until it is killed

It prints a line once it is ready, so that its start is not counted. It begins when a line arrives on its standard
input, and prints the exact CPU seconds of its tree at the end.
"""

from __future__ import annotations

import os
import resource
import sys
import time

CHILD_CPU_S = 0.15


def burn(cpu_s: float) -> None:
    """Arithmetic until this process has used ``cpu_s`` more."""
    end_s = time.process_time() + cpu_s
    while time.process_time() < end_s:
        sum(range(2_000))


def burn_in_children(cpu_s: float) -> None:
    """Every child burns a little, ends, and is waited for."""
    for _ in range(round(cpu_s / CHILD_CPU_S)):
        child = os.fork()
        if child == 0:
            burn(CHILD_CPU_S)
            os._exit(0)
        os.waitpid(child, 0)


def tree_cpu_s() -> float:
    """CPU seconds of this process and the children that it has waited for, from the kernel's own account."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main(kind: str, cpu_s: float) -> None:
    """Wait for the word, burn, and tell."""
    print("ready", flush=True)
    sys.stdin.readline()
    before_s = tree_cpu_s()
    if kind == "endless":
        burn(float("inf"))
    (burn_in_children if kind == "forking" else burn)(cpu_s)
    print(tree_cpu_s() - before_s, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
