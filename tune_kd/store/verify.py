"""Verification: every file of a store against its checksum, and the tables against each other."""

from __future__ import annotations

from tune_kd.errors import StoreError
from tune_kd.store import manifest as manifests
from tune_kd.store import names, views
from tune_kd.store.columns import TABLES
from tune_kd.store.journal import read_events
from tune_kd.store.manifest import PACKED, Manifest
from tune_kd.store.reading import Reader
from tune_kd.store.stamp import Fault
from tune_kd.store.views import Part

_UNREPORTED = """
    SELECT DISTINCT trial_id, attempt FROM trials WHERE epochs > 0
    EXCEPT SELECT trial_id, attempt FROM reports ORDER BY ALL
"""


def verify(reader: Reader) -> list[Fault]:
    """What is wrong with the store's files: truncated, foreign, tampered, missing or newer ones; none is changed.

    Raises StoreError when the store is being compacted meanwhile.
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
        changed = manifests.read(reader.files).generation != manifest.generation
    except FileNotFoundError:
        changed = True
    if changed:
        raise StoreError(f"the store {reader.files.where} changes while it is verified; try again")
    return sorted(faults, key=str)


def _files(reader: Reader, manifest: Manifest, table: str) -> tuple[set[str], set[str]]:
    """All that lies in a table's folder, whatever its name, and all that the manifest says should."""
    gone = set(manifest.replaced.get(table, ()))
    loose = {name for name in reader.files.names(table) if not name.startswith(PACKED)}
    return loose - gone, set(manifest.packed.get(table, {}))


def _strays(reader: Reader, manifest: Manifest) -> list[Fault]:
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
        return []  # which reports were in it nobody can say
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
