"""Verification: files against their checksums, packed rows against the sealed ones, tables against each other."""

from __future__ import annotations

from tune_kd.errors import StoreError
from tune_kd.store.columns import TABLES
from tune_kd.store.files import manifest as manifests
from tune_kd.store.files import names, stamp
from tune_kd.store.files.manifest import PACKED, Manifest
from tune_kd.store.files.stamp import Fault
from tune_kd.store.reading import views
from tune_kd.store.reading.reader import WITHOUT_MANIFEST, Reader
from tune_kd.store.reading.views import Part
from tune_kd.store.upkeep import doubts
from tune_kd.store.writing.journal import read_events

_UNREPORTED = """
    SELECT DISTINCT trial_id, attempt FROM trials WHERE epochs > 0
    EXCEPT SELECT trial_id, attempt FROM reports ORDER BY ALL
"""


def verify(reader: Reader) -> list[Fault]:
    """The faults of the store's files, none of which is changed.

    A file is truncated, foreign, tampered, missing or newer. A packed file is altered if its rows are not those that
    were sealed. Without a digest of these it is contradictory if its rows cannot be in any store.

    Raises StoreError if the store is being compacted meanwhile.
    """
    manifest = manifests.read(reader.files)
    faults: list[Fault] = []
    sound: dict[str, list[Part]] = {}
    try:
        for table in TABLES:
            parts, broken = Reader(reader.files).check(table, *_files(reader, manifest, table))
            faults += broken
            sound[table] = parts
        faults += [*_strays(reader, manifest), *_unreported(sound, faults), *_damaged_journals(reader)]
        for table, parts in sound.items():
            faults += [*_altered(table, parts), *doubts.contradictions(table, parts)]
        changed = manifests.read(reader.files).generation != manifest.generation
    except FileNotFoundError:
        changed = True
    if changed:
        raise StoreError(f"the store {reader.files.where} changes while it is verified; try again")
    return sorted(faults, key=str)


def uncompared(reader: Reader) -> list[Fault]:
    """The packed files without a digest of the sealed rows, which :func:`verify` cannot compare."""
    manifest = manifests.read(reader.files)
    found: list[Fault] = []
    for table in TABLES:
        parts, _ = Reader(reader.files).check(table, (), manifest.packed.get(table, {}))
        found += doubts.uncompared(table, parts)
    return found


def _files(reader: Reader, manifest: Manifest, table: str) -> tuple[set[str], set[str]]:
    """All files in a table's folder, of any name, and all that the manifest names."""
    gone = set(manifest.replaced.get(table, ()))
    loose = {name for name in reader.files.names(table) if not name.startswith(PACKED)}
    return loose - gone, set(manifest.packed.get(table, {}))


def _altered(table: str, parts: list[Part]) -> list[Fault]:
    """Packed files whose rows, as the store reads them, are not those that were sealed."""
    detail = "its rows are not those that were sealed"
    sealed = ((part, stamp.sealed_rows(part.path)) for part in parts if part.packed)
    return [
        Fault(file=f"{table}/{part.path.name}", kind="altered", detail=detail)
        for part, digest in sealed
        if digest is not None and views.digest(table, [part]) != digest
    ]


def _strays(reader: Reader, manifest: Manifest) -> list[Fault]:
    if manifests.is_lost(reader.files, manifest):
        return [WITHOUT_MANIFEST]
    detail = "no manifest names it; the next command that writes removes it"
    return [
        Fault(file=f"{table}/{name}", kind="foreign", detail=detail)
        for table in TABLES
        for name in reader.files.names(table)
        if name.startswith(PACKED)
        and name not in manifest.packed.get(table, {})
        and name not in manifest.replaced.get(table, ())
    ]


def _unreported(sound: dict[str, list[Part]], faults: list[Fault]) -> list[Fault]:
    """Trials whose reports are gone, other than in a file that is named already."""
    named = {fault.file for fault in faults}
    if any(file.startswith(f"reports/{PACKED}") for file in named):
        return []  # the reports that were in it are unknown
    with views.session({"trials": sound["trials"], "reports": sound["reports"]}) as connection:
        keys = connection.sql(_UNREPORTED).fetchall()
    files = (names.attempt_file("reports", trial_id, attempt) for trial_id, attempt in keys)
    return [Fault(file=file, kind="missing", detail="its trial has epochs") for file in files if file not in named]


def _damaged_journals(reader: Reader) -> list[Fault]:
    faults = []
    for path in sorted((reader.files.state / names.JOURNALS).glob("*.jsonl")):
        try:
            read_events(path)
        except FileNotFoundError:  # sealed meanwhile
            continue
        except StoreError as error:
            faults.append(Fault(file=f"{names.JOURNALS}/{path.name}", kind="tampered", detail=str(error)))
    return faults
