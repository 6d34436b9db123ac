"""CPU time until wrong input is told, and until a hundred recorded trials are shown, by a command of its own each.

    python benchmarks/answers.py [--rounds 3]

Prints the least CPU seconds of each command and what it said; the promise is at most 1 s for wrong input, 2 s for a
report. A new process imports what it needs, which is nearly all that it does. The hundred trials are real ones, those
of the first runs in docs/results-store.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tune_kd.store import Store, create_store, open_store
from tune_kd.store.files import names
from tune_kd.store.writing.sealing import put_rows

ROOT = Path(__file__).parents[1]
COMMAND = ROOT / ".venv/bin/tune-kd"
TRIALS = 100
WRONG_S, SHOWN_S = 1.0, 2.0
WRONG = (
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
SHOWN = ("report", "report --format json", "report --by accuracy", "store ls", "watch --text")
PROMISED_S = {**dict.fromkeys(WRONG, WRONG_S), **dict.fromkeys(SHOWN, SHOWN_S)}


def main() -> None:
    """Each command in turn, all of them once a round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    least = dict.fromkeys(PROMISED_S, float("inf"))
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        record(create_store(Path(folder) / "runs"))
        for _ in range(rounds):
            for line in PROMISED_S:
                seconds, told[line] = cpu_s(line, folder)
                least[line] = min(least[line], seconds)
    for line, seconds in least.items():
        mark = "ok" if seconds <= PROMISED_S[line] else "TOO SLOW"
        print(f"{seconds:.2f} s, at most {PROMISED_S[line]:g} s: {mark:8}  tune-kd {line}: {told[line][:60]}")


def record(store: Store) -> None:
    """Put the runs of whole replicates into the store, until there are :data:`TRIALS` trials or more."""
    source = open_store(ROOT / "docs" / "results-store")

    def rows(table: str, condition: str) -> list[dict[str, Any]]:
        return source.reader.rows(
            f"SELECT * EXCLUDE schema_version FROM {table} WHERE {condition}", [table]
        ).to_pylist()

    count = 0
    for run in rows("runs", "scenario = 'digits' ORDER BY replicate, run_id"):
        if count < TRIALS:
            of_run = f"run_id = '{run['run_id']}'"
            store.write_run(run)
            store.write_nodes(run["run_id"], [{**node, "run_id": run["run_id"]} for node in rows("nodes", of_run)])
            reports = rows("reports", of_run)
            for trial in rows("trials", of_run):
                key = trial["trial_id"], trial["attempt"]
                mine = [report for report in reports if (report["trial_id"], report["attempt"]) == key]
                put_rows(store.files, "reports", names.attempt_file("reports", *key), mine)
                put_rows(store.files, "trials", names.attempt_file("trials", *key), [trial])
                count += 1


def cpu_s(line: str, folder: str) -> tuple[float, str]:
    """CPU seconds of a command in ``folder``, and its last line about an error."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([COMMAND, *line.split()], cwd=folder, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, done.stderr.strip().rpartition("\n")[2]


if __name__ == "__main__":
    main()
