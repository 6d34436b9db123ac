"""The store, which writes and reads the records of all runs."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_kd.errors import InputError, StoreError
from tune_kd.events import Event
from tune_kd.storage.lease import Lease
from tune_kd.store.files import names
from tune_kd.store.files.driver import Driver
from tune_kd.store.files.local_files import Files
from tune_kd.store.files.stamp import Fault
from tune_kd.store.reading.export import export
from tune_kd.store.reading.reader import Reader
from tune_kd.store.reading.run_list import RunRecord, incumbent, list_runs, named, show_run
from tune_kd.store.reading.under_way import UnderWay, under_way
from tune_kd.store.upkeep.compact import compact
from tune_kd.store.upkeep.merge import Merged, merge
from tune_kd.store.upkeep.packing import maintenance
from tune_kd.store.upkeep.remove import remove_runs
from tune_kd.store.upkeep.sweep import Orphan, is_packed, sweep
from tune_kd.store.upkeep.verify import uncompared, verify
from tune_kd.store.writing import sealing
from tune_kd.store.writing.fold import Attempt, fold
from tune_kd.store.writing.journal import Journal

if TYPE_CHECKING:
    import pandas as pd


class Store:
    """A store of records. Make one with :func:`create_store` (to write) or :func:`open_store` (to read)."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.reader = Reader(files)
        self._journals: dict[tuple[str, int], Journal] = {}

    def __repr__(self) -> str:
        return f"Store({self.location!r})"

    @property
    def location(self) -> str:
        """The folder or URL of the store."""
        return self.files.where

    # Reading: DataFrames whose columns and dtypes follow from the schema alone, sorted by the table's key.

    def runs(self, columns: Collection[str] | None = None, *, run_ids: Collection[str] | None = None) -> pd.DataFrame:
        """One row a run; all columns of the schema, or those named, and all runs, or those named."""
        return self.reader.frame("runs", columns, run_ids)

    def trials(self, columns: Collection[str] | None = None, *, run_ids: Collection[str] | None = None) -> pd.DataFrame:
        """One row an attempt at a trial, once it has ended."""
        return self.reader.frame("trials", columns, run_ids)

    def reports(
        self, columns: Collection[str] | None = None, *, run_ids: Collection[str] | None = None
    ) -> pd.DataFrame:
        """One row an epoch of an attempt that has ended."""
        return self.reader.frame("reports", columns, run_ids)

    def nodes(self, columns: Collection[str] | None = None, *, run_ids: Collection[str] | None = None) -> pd.DataFrame:
        """One row a node of a run."""
        return self.reader.frame("nodes", columns, run_ids)

    def under_way(self, *, run_ids: Collection[str] | None = None) -> UnderWay:
        """The attempts that are not sealed yet, from their journals: see :class:`UnderWay`.

        Read it before the tables: an attempt that is sealed in between is in both then, and not in neither. The
        journals of a store at a URL are on the machine that writes them.
        """
        return under_way(self.files.state / names.JOURNALS, run_ids)

    def driver(self, run_id: str) -> Driver | None:
        """The process that drives the run, or drove it when it died; None of a run that has ended or not begun."""
        return Driver.named_in(self.lease_path(run_id))

    def query(self, sql: str) -> pd.DataFrame:
        """The result of a duckdb query over the views ``runs``, ``trials``, ``reports`` and ``nodes``."""
        return self.reader.query(sql)

    # Writing.

    def write_run(self, row: Mapping[str, Any]) -> None:
        """Write a run's row, in the place of the one before. Columns left out are null; others raise StoreError."""
        sealing.put_rows(self.files, "runs", names.run_file(row["run_id"]), [dict(row)])

    def write_nodes(self, run_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows of a run's nodes, each in the place of the one with its ``node_id`` before."""
        for row in rows:
            sealing.put_rows(self.files, "nodes", names.node_file(run_id, row["node_id"]), [{**row, "run_id": run_id}])

    def journal(self, run_id: str, trial_id: str, attempt: int) -> Journal:
        """Open the journal of a new attempt. Refused (StoreError) when the attempt has one, or is sealed already."""
        names.trial_of_run(trial_id, run_id)
        if self.files.exists(names.attempt_file("trials", trial_id, attempt)):
            raise StoreError(f"attempt {attempt} at trial {trial_id} is sealed already; a new attempt has a new number")
        journal = Journal(self._journal_path(trial_id, attempt))
        self._journals[trial_id, attempt] = journal
        return journal

    def seal(self, run_id: str, trial_id: str, attempt: int) -> Attempt:
        """Make an attempt's journal its rows in the tables, then drop it. When it fails it can be tried again."""
        journal = self._journals.get((trial_id, attempt))
        if journal is None:
            raise StoreError(f"run {run_id} has no open journal for attempt {attempt} at trial {trial_id}")
        sealed = fold(journal.read())
        sealing.put_all(self.files, sealing.encode(sealed))
        journal.close(remove=True)
        del self._journals[trial_id, attempt]
        return sealed

    def rewrite(self, events: Iterable[Event]) -> None:
        """Replace the rows of a sealed attempt by those of ``events``: all of its earlier events, and the late ones.

        Raises StoreError for an attempt that was packed meanwhile, whose rows stay as they are.
        """
        attempt = fold(events)
        with maintenance(self.files, wait=True):  # a compaction would delete the new rows for the old ones it packed
            if is_packed(self, attempt):
                raise StoreError(f"trial {attempt.trial['trial_id']} is packed already; its rows stay as they are")
            sealing.put_all(self.files, sealing.encode(attempt))

    def seal_orphans(self) -> list[Orphan]:
        """Seal the journals and runs that dead drivers left as ``lost``, with the costs so far.

        Journals and leases lie on the disk of the driver that wrote them, so with a URL each machine sweeps its own.
        """
        return sweep(self)

    @contextmanager
    def lease(self, run_id: str) -> Iterator[None]:
        """Hold a run while driving it. Raises InputError while another process does.

        Take it before the run's status becomes ``running`` and write the final status before giving it back.
        """
        path = self.lease_path(run_id)
        lease = Lease.try_take(path)
        if lease is None:
            raise InputError(
                f"run {run_id} is being driven by {path.read_text().strip() or 'another process'}; wait or stop it"
            )
        os.ftruncate(lease.descriptor, 0)
        os.write(lease.descriptor, f"{Driver.here()}\n".encode())
        try:
            yield
        except BaseException:
            lease.release()  # the file stays: it is the reason for the next sweep to look at this run
            raise
        lease.release(remove=True)

    # Keeping.

    def compact(self) -> dict[str, int]:
        """Pack the small files of ended trials into few large ones; gives the number packed, by table."""
        return compact(self.reader)

    def verify(self) -> list[Fault]:
        """The faults of the store's files: see :func:`tune_kd.store.upkeep.verify.verify`."""
        return verify(self.reader)

    def uncompared(self) -> list[Fault]:
        """The packed files of an older tune-kd, which :meth:`verify` cannot compare with the sealed rows."""
        return uncompared(self.reader)

    def list_runs(self) -> pd.DataFrame:
        """One row a run, the oldest first, with the results and costs of its trials."""
        return list_runs(self.reader)

    def show_run(self, run_id: str) -> RunRecord:
        """All records of one run. Raises InputError for one that is not there."""
        return show_run(self.reader, run_id)

    def incumbent(self, run_id: str) -> str | None:
        """The id of the run's incumbent; None if no trial has ended well."""
        return incumbent(self.reader, run_id)

    def run_ids(self, names: Iterable[str]) -> list[str]:
        """The ids of runs, which ``names`` has by their own ids or by their study's. Raises InputError."""
        runs = self.runs(["run_id", "study_id"])
        return list(dict.fromkeys(run_id for name in names for run_id in named(runs, name)["run_id"]))

    def remove_run(self, *names: str) -> None:
        """Remove runs with all their records, in one step; a study's id stands for its runs.

        Raises InputError for a run that is not there, or that is being driven: then none is removed.
        """
        run_ids = self.run_ids(names)
        with ExitStack() as leases:
            for run_id in run_ids:
                leases.enter_context(self.lease(run_id))
            remove_runs(self.reader, run_ids)

    def merge(self, *sources: Store) -> Merged:
        """Bring the runs of other stores into this one. Raises StoreError, with nothing written, on a conflict."""
        return merge(self.reader, [source.reader for source in sources])

    def export(self, folder: str | Path, form: str = "csv") -> list[Path]:
        """Write each table to ``folder`` as CSV (``csv``) or JSON lines (``jsonl``); the files written."""
        return export(self.reader, Path(folder).expanduser().absolute(), form)

    def _journal_path(self, trial_id: str, attempt: int) -> Path:
        return self.files.state / names.JOURNALS / names.journal_file(trial_id, attempt)

    def lease_path(self, run_id: str) -> Path:
        """The file whose lease the driver of a run holds."""
        return self.files.state / names.LEASES / names.checked("run_id", run_id)
