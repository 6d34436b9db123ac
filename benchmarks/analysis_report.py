"""The report's time against its promise: 5 policies × 10 replicates × up to 20 trials × 100 epochs in 10 s on 2 cores.

``python benchmarks/analysis_report.py`` prints each step as a share of the promise; above 1 it is broken.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from synthetic import make_frames

from analysis.ranking import ranking_tables
from analysis.report import build
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records

PROMISE_S = 10.0
T = TypeVar("T")


def timed(name: str, step: Callable[[], T]) -> T:
    start = time.perf_counter()
    result = step()
    print(f"{name:30} {(time.perf_counter() - start) / PROMISE_S:6.3f} of the promise")
    return result


def main() -> None:
    frames = make_frames(replicates=10, epochs=100)
    print(f"{len(frames.runs)} runs, {len(frames.trials)} trials, {len(frames.reports)} reports")
    outcomes = timed("what each run came to", lambda: run_outcomes(frames.runs, frames.trials, frames.nodes))
    timed("ranking with verdicts", lambda: ranking_tables(outcomes))
    text = timed("whole report", lambda: build(Records(**frames._asdict(), outcomes=outcomes)))
    print(f"{len(text) / 1024:.0f} KiB of HTML")


if __name__ == "__main__":
    main()
