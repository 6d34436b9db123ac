"""The store at scale: a million trials of 20 reports ranked, small files ranked, a trial sealed, and a run begun.

    python benchmarks/store_scale.py [--trials 1000000] [--small 5000] [--folder DIR]

The million is 50 policies on 100 scenarios with 10 replicates of 20 trials, written as compaction leaves them. Each
figure is that of a process of its own, with its start, its imports and the checksums of all files that it reads,
beside its limit: 10 s and 4 GiB, 3 s, 20 ms, on 2 cores. The start of a run is all that an execution does on the store
before the run's first trial; it is measured on a tenth of the trials, too, and must not grow with them.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tune_kd.events import EpochReport, TrialEnded, TrialStarted
from tune_kd.store import Store, create_store, open_store
from tune_kd.store.columns import SCHEMA_VERSION, TABLES
from tune_kd.store.files import manifest
from tune_kd.store.schema import SCHEMAS
from tune_kd.store.upkeep.packing import Packer

POLICIES, SCENARIOS, TRIALS_A_RUN, EPOCHS = 50, 100, 20, 20
STARTS = 5
START = datetime(2026, 1, 1, tzinfo=UTC)

# A run's incumbent: its best validation; of equals the lowest index. Its test accuracy counts, and all that was spent.
INCUMBENTS = """
    WITH outcomes AS (
        SELECT run_id, sum(energy_j) AS energy_j,
               arg_max(test_score, (val_score, -"index")) AS test_score
        FROM trials GROUP BY run_id
    ), incumbents AS (
        SELECT policy, scenario, replicate, test_score, energy_j FROM runs JOIN outcomes USING (run_id)
    )
"""
RANKING = f"""{INCUMBENTS}
    SELECT scenario, policy, count(*) AS replicates, avg(test_score) AS mean, stddev_samp(test_score) AS std,
           avg(energy_j) AS energy_j
    FROM incumbents GROUP BY ALL ORDER BY scenario, mean DESC
"""
PAIRS = f"""{INCUMBENTS}
    SELECT scenario, a.policy AS policy, b.policy AS other, count(*) AS replicates,
           avg(a.test_score - b.test_score) AS difference,
           stddev_samp(a.test_score - b.test_score) / sqrt(count(*)) AS standard_error
    FROM incumbents AS a JOIN incumbents AS b USING (scenario, replicate) WHERE a.policy < b.policy
    GROUP BY ALL ORDER BY ALL
"""


def generate(root: Path, trials: int) -> None:
    """A packed store of so many trials, with figures that compress about as real ones do."""
    store, chance = create_store(root), np.random.default_rng(0)
    packed = {}
    runs = np.arange(-(-trials // TRIALS_A_RUN))
    with Packer(store.files, "runs", 1) as packer:
        packer.take(_table("runs", len(runs), run_id=_run_ids(runs), **_run_columns(runs)))
    packed["runs"] = packer.written
    for table in ("trials", "reports"):
        chunk = 100_000 if table == "trials" else 5_000
        with Packer(store.files, table, 1) as packer:
            for first in range(0, trials, chunk):
                index = np.arange(first, min(trials, first + chunk))
                packer.take(_trials(index, chance) if table == "trials" else _reports(index, chance))
        packed[table] = packer.written
    manifest.write(store.files, manifest.Manifest(generation=1, packed=packed))


def _run_ids(runs: np.ndarray) -> pa.Array:
    return pa.array([f"run-{run:06d}" for run in runs])


def _run_columns(runs: np.ndarray) -> dict[str, Any]:
    columns = {
        "policy": [f"policy{run % POLICIES:02d}" for run in runs],
        "scenario": [f"scenario{run // POLICIES % SCENARIOS:03d}" for run in runs],
    }
    return {**columns, "replicate": runs // (POLICIES * SCENARIOS), "status": ["completed"] * len(runs)}


def _trials(index: np.ndarray, chance: np.random.Generator) -> pa.Table:
    count, run = len(index), index // TRIALS_A_RUN
    val = 0.7 + 0.001 * (run % POLICIES) + chance.normal(0, 0.01, count)
    started_us = index * 1_000_000
    return _table(
        "trials",
        count,
        run_id=_run_ids(run),
        trial_id=pa.array([f"run-{r:06d}-{i:04d}" for r, i in zip(run, index % TRIALS_A_RUN, strict=True)]),
        index=index % TRIALS_A_RUN,
        params_json=[f'{{"tau": {2 + i % 19}}}' for i in index],
        tau=2.0 + index % 19,
        status=["completed"] * count,
        epochs=np.full(count, EPOCHS),
        started_at=started_us,
        ended_at=started_us + 900_000,
        val_score=val.round(4),
        test_score=(val + chance.normal(0, 0.002, count)).round(4),
        chance=chance,
    )


def _reports(index: np.ndarray, chance: np.random.Generator) -> pa.Table:
    trial = np.repeat(index, EPOCHS)
    epoch = np.tile(np.arange(1, EPOCHS + 1), len(index))
    run = trial // TRIALS_A_RUN
    ids = pa.array([f"run-{i // TRIALS_A_RUN:06d}-{i % TRIALS_A_RUN:04d}" for i in index])
    return _table(
        "reports",
        len(trial),
        run_id=_run_ids(index // TRIALS_A_RUN).take(pa.array(trial - index[0])),
        trial_id=ids.take(pa.array(trial - index[0])),
        epoch=epoch,
        at=trial * 1_000_000 + epoch * 45_000,
        val_score=(0.7 * (1 - 0.8**epoch) + 0.0001 * (run % POLICIES)).round(4),
        energy_j=epoch * chance.normal(5.0, 0.1, len(trial)),
        flops_executed=epoch * 3.1e9,
        chance=chance,
    )


def _table(table: str, count: int, *, chance: np.random.Generator | None = None, **given: Any) -> pa.Table:
    """A table with the columns given; the other doubles are noise where there is ``chance``, the rest is constant."""
    columns = []
    for column, field in zip(TABLES[table], SCHEMAS[table], strict=True):
        if column.name in given:
            values = given[column.name]
        elif column.name == "schema_version":
            values = np.full(count, SCHEMA_VERSION)
        elif column.type == "double" and chance is not None:
            values = chance.normal(1.0, 0.1, count).astype(np.float32).astype(np.float64)
        elif column.required:
            values = np.zeros(count, dtype=np.int64)
        else:
            values = pa.nulls(count, field.type)
        array = values if isinstance(values, pa.Array) else pa.array(values)
        columns.append(array.cast(field.type) if array.type != field.type else array)
    return pa.Table.from_arrays(columns, schema=SCHEMAS[table])


def seal_trials(root: Path, count: int) -> list[float]:
    """Journal and seal so many trials of 20 reports; the seconds that each sealing took."""
    store, seconds = create_store(root), []
    run_ids = [f"run{run}" for run in range(-(-count // TRIALS_A_RUN))]
    for number, run_id in enumerate(run_ids):
        row = {"run_id": run_id, "policy": f"policy{number % 5}", "scenario": "digits", "replicate": number // 5}
        store.write_run({**row, "status": "completed"})
    for index in range(count):
        run_id = run_ids[index // TRIALS_A_RUN]
        trial_id = f"{run_id}-{index % TRIALS_A_RUN:04d}"
        with store.journal(run_id, trial_id, 0) as journal:
            _journal(journal.append, run_id, trial_id, index)
            begun = time.perf_counter()
            store.seal(run_id, trial_id, 0)
            seconds.append(time.perf_counter() - begun)
    return seconds


def _journal(append: Callable[[Any], None], run_id: str, trial_id: str, index: int) -> None:
    key: dict[str, Any] = {"run_id": run_id, "trial_id": trial_id, "attempt": 0}
    carbon: dict[str, Any] = {"pue": 1.0, "carbon_g_per_kwh": 400.0, "carbon_source": "benchmark"}
    append(TrialStarted(**key, **carbon, at=START, index=index, seed=index, params={"tau": 4}, tau=4.0, alpha=0.9))
    unmeasured = dict.fromkeys(field for field in EpochReport.__dataclass_fields__ if field not in key)
    for epoch in range(1, EPOCHS + 1):
        measured = {"at": START + timedelta(seconds=index + epoch), "epoch": epoch, "checkpoint_epoch": epoch}
        measured |= {"val_score": 0.8 + index % 97 / 1000, "energy_j": 5.0 * epoch, "co2e_g": 0.1 * epoch}
        append(EpochReport(**key, **{**unmeasured, **measured}))  # type: ignore[arg-type]
    append(TrialEnded(**key, at=START + timedelta(seconds=index + 60), status="completed", error=None))


def _rank(store: Store) -> int:
    return len(store.query(RANKING)) + len(store.query(PAIRS))


def _start(store: Store) -> int:
    """The start of one more run, whose id comes after all others as the ids of a later study do."""
    from tune_kd.history.records import NodeRows
    from tune_kd.history.run_history import history_of

    run_id = f"run-{datetime.now(UTC):%Y%m%d%H%M%S%f}"
    store.seal_orphans()
    row = {"run_id": run_id, "policy": "policy00", "scenario": "scenario000", "replicate": 0}
    store.write_run({**row, "status": "planned"})
    with store.lease(run_id):
        trials = history_of(store, run_id).trials
        nodes = NodeRows(store, run_id)
        store.write_run({**row, "status": "running"})
        nodes.write([{"node_id": "node", "cpus": 2}])
        store.write_run({**row, "status": "completed"})
    return len(trials)


MEASURED: dict[str, Callable[[Store], int]] = {
    "rank": _rank,
    "rank small": lambda store: len(store.query(RANKING)),
    "frame": lambda store: len(store.trials(["run_id", "trial_id", "attempt", "val_score", "test_score", "energy_j"])),
    "whole frame": lambda store: len(store.trials()),
    "reports": lambda store: len(store.query("SELECT epoch, avg(val_score) FROM reports GROUP BY epoch")),
    "start": _start,
    "compact": lambda store: store.compact()["trials"],
}


def measure(root: Path, what: str) -> None:
    """Print what one reading costs: run in a process of its own."""
    if what == "start":
        import tune_kd.history.run_history  # noqa: F401 (Ray, which an execution has imported by then)
    begun, cpu_s = time.perf_counter(), time.process_time()
    rows = MEASURED[what](open_store(root))
    own = {"own_s": time.perf_counter() - begun, "cpu_s": time.process_time() - cpu_s}  # without start and imports
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"rows": rows, "bytes": held, **own}))


def _measured(root: Path, what: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", what, "--folder", str(root)]
    begun = time.perf_counter()
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {**json.loads(printed), "seconds": time.perf_counter() - begun}


def _show(name: str, value: float, unit: str, limit: float | None = None) -> None:
    beside = f"   {value / limit:5.0%} of the limit, {limit:g} {unit}" if limit else ""
    print(f"{name:58s} {value:8.2f} {unit:4s}{beside}", flush=True)


def run(folder: Path, trials: int, small: int) -> None:
    """Generate, measure, print."""
    seal_and_rank(folder, small)
    begun = time.perf_counter()
    generate(folder / "large", trials)
    _show(f"generate {trials} trials of {EPOCHS} reports", time.perf_counter() - begun, "s")
    _show("  on disk", sum(path.stat().st_size for path in folder.rglob("large/**/*.parquet")) / 2**30, "GiB")
    begin_runs(folder, trials)
    ranked = _measured(folder / "large", "rank")
    _show("mean ± std and paired differences", ranked["seconds"], "s", 10)
    _show("  most memory held", ranked["bytes"] / 2**30, "GiB", 4)
    _show("  rows of the two answers", ranked["rows"], "")
    reports = _measured(folder / "large", "reports")
    _show("one mean over all reports", reports["seconds"], "s")
    _show("  most memory held", reports["bytes"] / 2**30, "GiB", 4)


def begin_runs(folder: Path, trials: int) -> None:
    """The start of a run on the large store and on a tenth of it, in turn, so that both see the machine alike."""
    tenth = max(TRIALS_A_RUN, trials // 10)
    generate(folder / "tenth", tenth)
    starts: dict[str, list[dict[str, float]]] = {"tenth": [], "large": []}
    for _ in range(STARTS):
        for name, measured in starts.items():
            measured.append(_measured(folder / name, "start"))
    for column, what in (("own_s", "start of a run"), ("cpu_s", "  its CPU time")):
        small, large = (statistics.median(start[column] for start in measured) for measured in starts.values())
        _show(f"{what} beside {tenth} trials, median of {STARTS}", small * 1e3, "ms")
        _show(f"{what} beside {trials} trials, median of {STARTS}", large * 1e3, "ms")
        _show(f"  the ratio, with {trials / tenth:g} times the trials", large / small, "")


def seal_and_rank(folder: Path, small: int) -> None:
    """Small files: sealed, ranked, compacted, ranked again."""
    seconds = seal_trials(folder / "small", small)
    _show("seal a trial of 20 reports, median", statistics.median(seconds) * 1e3, "ms", 20)
    _show("seal a trial of 20 reports, 99th percentile", statistics.quantiles(seconds, n=100)[-1] * 1e3, "ms", 20)
    _show(f"rank {small} small files", _measured(folder / "small", "rank small")["seconds"], "s", 3)
    _show("  the columns of a ranking as a DataFrame", _measured(folder / "small", "frame")["seconds"], "s", 3)
    _show("  all columns as a DataFrame", _measured(folder / "small", "whole frame")["seconds"], "s")
    _show(f"  compact them, with {small * EPOCHS} reports", _measured(folder / "small", "compact")["seconds"], "s")
    _show("  rank what was packed", _measured(folder / "small", "rank small")["seconds"], "s", 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=5_000, help="how many trials in small files (default: 5000)")
    parser.add_argument("--folder", type=Path, help="where to put the stores; by default a temporary folder")
    parser.add_argument("--measure", choices=MEASURED, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.folder, given.measure)
        return
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="store-scale-", dir=given.folder))
    try:
        run(folder, given.trials, given.small)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
