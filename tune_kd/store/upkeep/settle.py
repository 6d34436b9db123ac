"""Settling: files are deleted that a change of the packed files, or a crash in the middle of one, left behind."""

from __future__ import annotations

import time

from tune_kd.errors import StoreError
from tune_kd.store.columns import TABLES
from tune_kd.store.files import manifest as manifests
from tune_kd.store.files import names
from tune_kd.store.files.local_files import Files
from tune_kd.store.files.manifest import PACKED, Manifest
from tune_kd.store.reading import views
from tune_kd.store.reading.reader import Reader
from tune_kd.store.reading.views import Part
from tune_kd.store.sql import listed
from tune_kd.store.upkeep.packing import pack, remove_all

_DAY_S = 24 * 3600


def settle(reader: Reader) -> Manifest:
    """Finish an unfinished change, under :func:`tune_kd.store.upkeep.packing.maintenance`. The manifest after it.

    Each step leaves the store as readable as before, and can be done again. Raises StoreError if the manifest is lost.
    """
    files, manifest = reader.files, manifests.read(reader.files)
    if manifests.is_lost(files, manifest):
        raise StoreError(
            f"the store {files.where} has packed files, but the {manifests.NAME} that names them is gone; bring it "
            "back from a copy (nothing was changed)"
        )
    _clear_staging(files)
    if manifest.removed_runs:
        manifest = _drop_runs(reader, manifest)
    for table in TABLES:
        named = manifest.packed.get(table, {})
        strays = [name for name in files.names(table) if name.startswith(PACKED) and name not in named]
        remove_all(files, table, {*manifest.replaced.get(table, ()), *strays})
    if not manifest.settled:
        manifest = manifest.next(replaced={})
        manifests.write(files, manifest)
    return manifest


def _clear_staging(files: Files) -> None:
    """Drop the files of killed writers. Packed files are staged under maintenance only, small ones for milliseconds."""
    for path in files.stage(PACKED).parent.iterdir():
        if path.name.startswith(PACKED) or time.time() - path.stat().st_mtime > _DAY_S:
            path.unlink(missing_ok=True)


def _drop_runs(reader: Reader, manifest: Manifest) -> Manifest:
    """Take the removed runs' rows out of small files and packed ones. Readers have stopped to see them before."""
    files, gone = reader.files, manifest.removed_runs
    for journal in (files.state / names.JOURNALS).glob("*.jsonl"):
        if any(names.is_of_run(names.JOURNALS, journal.name, run_id) for run_id in gone):
            journal.unlink(missing_ok=True)
    packed = {table: dict(named) for table, named in manifest.packed.items()}
    replaced: dict[str, list[str]] = {}
    for table in TABLES:
        small = [name for name in files.names(table) if any(names.is_of_run(table, name, run_id) for run_id in gone)]
        remove_all(files, table, small)
        parts, _ = reader.check(table, (), packed.get(table, {}))
        affected = [part for part in parts if _holds(table, part, gone)]
        written = pack(files, table, manifest.generation + 1, affected, without_runs=gone)
        replaced[table] = [part.path.name for part in affected]
        kept = {name: rows for name, rows in packed.get(table, {}).items() if name not in replaced[table]}
        packed[table] = {**kept, **written}
    without = manifest.next(packed=packed, replaced=replaced, removed_runs=[])
    manifests.write(files, without)
    return without


def _holds(table: str, part: Part, run_ids: list[str]) -> bool:
    """Whether a packed file has rows of one of the runs."""
    with views.session({table: [part]}) as connection:
        wanted = listed(run_ids)
        return connection.sql(f"SELECT 1 FROM {table} WHERE run_id IN {wanted} LIMIT 1").fetchall() != []
