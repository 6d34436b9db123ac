"""A driver without Ray, for the tests that kill it: it writes trials in a loop and says what is on disk."""

from __future__ import annotations

from multiprocessing.connection import Connection

from store_records import ended, report, run_row, started

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
