"""Write the golden store of today's schema version, once.

    PYTHONPATH=tests/helpers python tests/store/make_golden.py

A golden store is never written again: it is what users have on their disks. A new schema version gets one of its
own beside it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from store_records import ended, report, run_row, started, write_whole_run

from tune_kd.store import create_store
from tune_kd.store.columns import SCHEMA_VERSION

GOLDEN = Path(__file__).parent / "golden"


def main() -> None:
    root = GOLDEN / f"v{SCHEMA_VERSION}"
    if root.exists():
        sys.exit(f"{root} is there already, and golden stores are never written again")
    store = create_store(root)
    write_whole_run(store, "whole", trials=2)
    store.compact()
    with store.journal("loose", "loose-0000", 0) as journal:
        journal.append(started("loose", 0, tau=None, params={}))
        journal.append(report("loose", 0, 1, tau_mean=7.5, tau_min=2.0, tau_max=20.0))
    store.seal_orphans()
    with store.journal("loose", "loose-0001", 0) as journal:
        journal.append(started("loose", 1))
        journal.append(ended("loose", 1, status="failed", error="boom"))
        store.seal("loose", "loose-0001", 0)
    store.write_nodes("loose", [{"node_id": "node-b", "mig": False}])
    store.write_run(run_row("loose", policy="stochastic", status="lost", code_dirty=True, budget_limit=20.0))
    for folder in ("_journal", "_leases", "_staging"):
        shutil.rmtree(root / folder, ignore_errors=True)


if __name__ == "__main__":
    main()
