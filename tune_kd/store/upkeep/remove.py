"""Removal of a run with all its records."""

from __future__ import annotations

from collections.abc import Sequence

from tune_kd.store.files import manifest as manifests
from tune_kd.store.reading.reader import Reader
from tune_kd.store.upkeep.packing import maintenance
from tune_kd.store.upkeep.settle import settle


def remove_runs(reader: Reader, run_ids: Sequence[str]) -> None:
    """Remove runs, of which the caller holds the leases. Readers stop to see them in one step.

    A crash after that step leaves files that the next maintenance deletes. Raises StoreError.
    """
    with maintenance(reader.files):
        manifest = settle(reader)
        manifests.write(reader.files, manifest.next(removed_runs=list(run_ids)))
        settle(reader)
