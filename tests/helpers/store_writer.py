"""Drivers without Ray, for tests that run several, or kill one."""

from __future__ import annotations

from multiprocessing.connection import Connection

from store_records import ended, report, run_row, started, write_whole_run

from tune_kd.store import create_store

EPOCHS = 3


def drive(where: str, run_id: str, acknowledged: Connection) -> None:
    """Write trials until killed. Whatever is sent through ``acknowledged`` was on disk before."""
    store = create_store(where)
    with store.lease(run_id):
        store.write_run(run_row(run_id, status="running", ended_at=None))
        for index in range(1_000_000):
            trial_id = f"{run_id}-{index:04d}"
            journal = store.journal(run_id, trial_id, 0)
            journal.append(started(run_id, index))
            for epoch in range(1, EPOCHS + 1):
                journal.append(report(run_id, index, epoch))
                acknowledged.send((trial_id, epoch))
            journal.append(ended(run_id, index))
            acknowledged.send((trial_id, "ended"))
            store.seal(run_id, trial_id, 0)
            acknowledged.send((trial_id, "sealed"))
            if index % 4 == 3:
                store.compact()
                acknowledged.send((trial_id, "compacted"))


def write_runs(where: str, name: str, count: int) -> None:
    """Write ``count`` whole runs, and seal what others left."""
    store = create_store(where)
    for index in range(count):
        run_id = f"{name}{index}"
        with store.lease(run_id):
            write_whole_run(store, run_id, trials=2)
        store.seal_orphans()
