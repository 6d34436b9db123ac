"""Compaction: the small files of ended trials and runs become few large ones, while others read and write.

The packed files are written, the manifest is switched, then the small files are deleted; a Reader sees the state
before or the one after. A plain ``*.parquet`` sees rows twice during the deletion.

Files of an earlier schema are packed with today's columns: a plain reader of a folder takes its columns from one file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tune_kd.storage.lease import Lease
from tune_kd.store.columns import SCHEMA_VERSION, TABLES
from tune_kd.store.files import manifest as manifests
from tune_kd.store.files import names
from tune_kd.store.files.local_files import Files
from tune_kd.store.files.manifest import Manifest
from tune_kd.store.reading.reader import Reader
from tune_kd.store.reading.views import REWRITTEN, Part
from tune_kd.store.upkeep.packing import ROWS_PER_FILE, maintenance, pack
from tune_kd.store.upkeep.settle import settle

# What may be written again stays in small files: the rows of a run and its nodes until it has ended for good, those of
# its trials and reports while it is driven, in case something of an attempt comes late.
_FINAL = ("completed", "stopped")
_DRIVEN = "running"


def compact(reader: Reader) -> dict[str, int]:
    """Pack the files of ended trials; gives the number packed, by table. Raises StoreError, the store unchanged."""
    files = reader.files
    with maintenance(files):
        manifest = settle(reader)
        rows = reader.rows("SELECT run_id, status FROM runs", ["runs"]).to_pylist()
        statuses = {row["run_id"]: row["status"] for row in rows}
        snapshot = reader.snapshot(manifest, TABLES)
        reader.warn(snapshot.faults)
        damaged = {Path(fault.file).name for fault in snapshot.faults}
        small = {table: _small(table, parts, statuses, damaged) for table, parts in snapshot.tables.items()}
        rewritable = {part: _digest(part.path.read_bytes()) for table in REWRITTEN for part in small[table]}
        outdated = {table: _outdated(parts) for table, parts in snapshot.tables.items()}
        packed = {table: dict(named) for table, named in manifest.packed.items()}
        replaced = {
            table: _pack(files, table, small[table], snapshot.tables[table], packed.setdefault(table, {}), manifest)
            for table in TABLES
            if small[table] or outdated[table]
        }
        if replaced:
            manifests.write(files, manifest.next(packed=packed, replaced=replaced))
            settle(reader)
            _delete_unchanged(files, rewritable)
    return {table: len(small[table]) + len(outdated[table]) for table in TABLES}


def _small(table: str, parts: Sequence[Part], statuses: Mapping[str, str], damaged: Collection[str]) -> list[Part]:
    """The small files that may be packed: a trial and its reports, of the same name, only together."""

    def final(part: Part) -> bool:
        status = statuses.get(names.run_of(table, part.path.stem))
        return status in _FINAL if table in REWRITTEN and _is_todays(part) else status != _DRIVEN

    return [part for part in parts if not part.packed and part.path.name not in damaged and final(part)]


def _outdated(parts: Sequence[Part]) -> list[Part]:
    """The packed files of an earlier schema."""
    return [part for part in parts if part.packed and not _is_todays(part)]


def _is_todays(part: Part) -> bool:
    return part.version == SCHEMA_VERSION


def _pack(
    files: Files, table: str, small: list[Part], parts: Sequence[Part], packed: dict[str, int], manifest: Manifest
) -> list[str]:
    """Pack ``small`` and the packed files that are not full yet or of an earlier schema; gives the obsolete files.

    ``packed`` names the table's packed files from then on.
    """
    begun = [
        part for part in parts if part.packed and (packed[part.path.name] < ROWS_PER_FILE // 2 or not _is_todays(part))
    ]
    written = pack(files, table, manifest.generation + 1, [*begun, *small])
    for part in begun:
        del packed[part.path.name]
    packed.update(written)
    gone = begun if table in REWRITTEN else [*small, *begun]
    return [part.path.name for part in gone]


def _delete_unchanged(files: Files, packed: Mapping[Part, str]) -> None:
    """Delete small files of runs and nodes, unless their row was written again since, which then stands."""
    for part, digest in packed.items():
        table = part.path.parent.name
        lease = Lease.try_take(files.state / names.LEASES / names.run_of(table, part.path.stem))
        if lease is None:
            continue
        with lease:
            name = f"{table}/{part.path.name}"
            if _digest(files.get(name)) == digest:
                files.remove(name)
            lease.release(remove=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
