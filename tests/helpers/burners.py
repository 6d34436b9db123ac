"""Running :mod:`burner` programs, and the end of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

BURNER = Path(__file__).parent / "burner.py"


class Burner:
    """One running burner.py."""

    def __init__(self, kind: str, cpu_s: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(BURNER), kind, str(cpu_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        """What its start costs belongs to nobody's account: a meter begins after it."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def told_cpu_s(self) -> float:
        """What it used so far, as the kernel tells others; also once it has ended and nobody has waited for it."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def tell(self) -> None:
        """Send a line: to begin, and to end."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def exact_cpu_s(self) -> float:
        """What it used; waits until it has."""
        assert self.process.stdout is not None
        return float(self.process.stdout.readline())


@contextmanager
def burners(*kinds: tuple[str, float]) -> Iterator[list[Burner]]:
    running = [Burner(kind, cpu_s) for kind, cpu_s in kinds]
    try:
        for burner in running:
            burner.wait_until_ready()
        yield running
    finally:
        for burner in running:
            burner.process.kill()
            burner.process.communicate()
