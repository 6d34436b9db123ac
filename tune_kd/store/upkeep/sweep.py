"""The sweep: journals and runs of dead drivers are sealed as ``lost``, with their costs."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_kd.errors import StoreError
from tune_kd.events import TrialStarted
from tune_kd.storage.lease import Lease
from tune_kd.store.files import manifest as manifests
from tune_kd.store.files import names
from tune_kd.store.reading import views
from tune_kd.store.reading.reader import Reader, StoreWarning, loose_names
from tune_kd.store.sql import literal
from tune_kd.store.upkeep.packing import Busy, maintenance
from tune_kd.store.upkeep.settle import settle
from tune_kd.store.writing import sealing
from tune_kd.store.writing.fold import Attempt, fold
from tune_kd.store.writing.journal import read_events

if TYPE_CHECKING:
    from tune_kd.store.store import Store

ABANDONED = "its driver was gone before the run ended"


@dataclass(frozen=True, kw_only=True)
class Orphan:
    """An attempt at a trial, or (``trial_id`` None) a run, that a dead driver left and a sweep sealed."""

    run_id: str
    trial_id: str | None
    attempt: int | None
    status: str  # lost, or the status that the driver had journalled
    epochs: int | None
    energy_j: float | None


def sweep(store: Store) -> list[Orphan]:
    """Seal all orphans of the store that lie on this machine; those of a living process are left alone."""
    journals = sorted((store.files.state / names.JOURNALS).glob("*.jsonl"))
    trials = [orphan for journal in journals if (orphan := seal_orphan(store, journal))]
    runs = [orphan for run_id in running_runs(store.reader) if (orphan := lose_run(store, run_id))]
    with suppress(Busy), maintenance(store.files):
        settle(store.reader)
    return trials + runs


def running_runs(reader: Reader) -> list[str]:
    """The ids of the runs with the status running: compaction leaves their rows in small files."""
    manifest = manifests.read(reader.files)
    small, faults = reader.check("runs", loose_names(reader.files, manifest, "runs"), ())
    reader.warn(faults)
    with views.session({"runs": small}, manifest.removed_runs) as connection:
        found = connection.sql("SELECT run_id FROM runs WHERE status = 'running' ORDER BY run_id").fetchall()
    return [run_id for (run_id,) in found]


def seal_orphan(store: Store, journal: Path) -> Orphan | None:
    """Seal the journal if nobody writes it; None if somebody does, or if there was nothing in it."""
    lease = Lease.try_take(journal)
    if lease is None:
        return None
    with lease:
        try:
            events = read_events(journal)
            # Without a start it died before its first event was on disk: nothing was spent.
            attempt = fold(events) if any(isinstance(event, TrialStarted) for event in events) else None
            encoded = sealing.encode(attempt) if attempt else {}
        except StoreError as error:
            warnings.warn(f"left unsealed: {journal.name}: {error}", StoreWarning, stacklevel=3)
            return None
        with maintenance(store.files, wait=True):  # so that it is not packed while it is looked for
            if attempt and is_packed(store, attempt):
                attempt = None
            if attempt:
                sealing.put_all(store.files, encoded)
        lease.release(remove=True)
    return _orphan(attempt) if attempt else None


def _orphan(attempt: Attempt) -> Orphan:
    names = ("run_id", "trial_id", "attempt", "status", "epochs", "energy_j")
    fields: dict[str, Any] = {name: attempt.trial.get(name) for name in names}
    return Orphan(**fields)


def is_packed(store: Store, attempt: Attempt) -> bool:
    """Whether a crash came after the attempt was sealed, and a compaction before its journal was dropped."""
    manifest = manifests.read(store.files)
    of_run = [attempt.trial["run_id"]]
    packed, faults = store.reader.check("trials", (), manifest.packed.get("trials", {}), of_run)
    store.reader.warn(faults)
    with views.session({"trials": packed}) as connection:
        key = f"trial_id = {literal(attempt.trial['trial_id'])} AND attempt = {attempt.trial['attempt']}"
        return connection.sql(f"SELECT 1 FROM trials WHERE {key}").fetchall() != []


def lose_run(store: Store, run_id: str) -> Orphan | None:
    """Mark a running run as lost if nobody drives it."""
    path = store.lease_path(run_id)
    if not (store.files.sees_all_leases or path.exists()):
        return None  # driven from another machine, whose leases are not seen here
    lease = Lease.try_take(path)
    if lease is None:
        return None
    with lease:
        [row] = store.reader.rows("SELECT * FROM runs", ["runs"], runs=[run_id]).to_pylist()
        # Its driver may have ended it between the caller's look at the runs and our lease.
        lost = row["status"] == "running"
        if lost:
            store.write_run({**row, "status": "lost", "error": ABANDONED, "ended_at": _last_sign_of_life(store, row)})
        lease.release(remove=True)
    if not lost:
        return None
    return Orphan(run_id=run_id, trial_id=None, attempt=None, status="lost", epochs=None, energy_j=None)


def _last_sign_of_life(store: Store, run: dict[str, Any]) -> Any:
    sql = "SELECT max(ended_at) AS ended_at FROM trials"
    [trials] = store.reader.rows(sql, ["trials"], runs=[run["run_id"]]).to_pylist()
    return max((at for at in (trials["ended_at"], run["started_at"]) if at), default=None)
