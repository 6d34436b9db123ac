"""CPU time until wrong input is told, by a command of its own each.

    python benchmarks/answers.py [--rounds 3]

Prints the least CPU seconds of each command and what it said; the promise is at most 1 s. A new process imports what
it needs, which is nearly all that it does.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
from pathlib import Path

PROMISED_S = 1.0
COMMAND = Path(__file__).parents[1] / ".venv/bin/tune-kd"
LINES = (
    "run --policy gird",
    "compare --policies grid,stochastc",
    "run --budget 5",
    "run --scenario digts",
    "run --data nowhere",
    "run --epochs -3",
    "run --set recipe.lr=fast",
    "run --country XYZ",
    "study table99",
    "report nowhere",
)


def main() -> None:
    """Each command in turn, all of them once a round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    least = dict.fromkeys(LINES, float("inf"))
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for line in LINES:
                seconds, told[line] = cpu_s(line, folder)
                least[line] = min(least[line], seconds)
    for line, seconds in least.items():
        print(f"{seconds:.2f} s {'' if seconds <= PROMISED_S else 'too slow '} tune-kd {line}: {told[line][:60]}")


def cpu_s(line: str, folder: str) -> tuple[float, str]:
    """CPU seconds of a command in ``folder``, and its last line about an error."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([COMMAND, *line.split()], cwd=folder, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, done.stderr.strip().rpartition("\n")[2]


if __name__ == "__main__":
    main()
