"""The manifest: the packed files of a store, and the small files whose rows they have.

Compaction, merging and removal first write the new packed files, then replace the manifest in one step, then
delete the files that are no longer needed. A reader reads the manifest before and after listing the folders. If it is
the same, the listing is consistent.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tune_kd.errors import StoreError
from tune_kd.store.columns import TABLES
from tune_kd.store.files.local_files import Files

NAME = "_manifest.json"
PACKED = "packed-"  # how the names of packed files start; no run's id may


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One state of the packed files. Every change counts up ``generation``."""

    generation: int = 0
    packed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # table → file name → rows
    replaced: Mapping[str, list[str]] = field(default_factory=dict)  # table → files to delete, no longer read
    removed_runs: list[str] = field(default_factory=list)  # runs whose rows are to be dropped, no longer read

    def next(self, **changes: object) -> Manifest:
        """The state after ``changes``."""
        return dataclasses.replace(self, generation=self.generation + 1, **changes)  # type: ignore[arg-type]

    @property
    def settled(self) -> bool:
        """Whether nothing is left to delete."""
        return not any(self.replaced.values()) and not self.removed_runs


def read(files: Files) -> Manifest:
    """The store's manifest; an empty one if nothing was ever packed."""
    try:
        text = files.get(NAME)
    except FileNotFoundError:
        return Manifest()
    try:
        return Manifest(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise StoreError(f"the manifest of the store {files.where} is damaged: {error}") from None


def write(files: Files, manifest: Manifest) -> None:
    """Switch to ``manifest``."""
    files.put(NAME, json.dumps(dataclasses.asdict(manifest)).encode())


def begin(files: Files) -> None:
    """Write an empty manifest where there is none, before the first packed file: see :func:`is_lost`."""
    if not files.exists(NAME):
        write(files, Manifest())


def is_lost(files: Files, manifest: Manifest, tables: Iterable[str] = TABLES) -> bool:
    """Whether there are packed files of ``tables`` and no manifest, by what was read of it.

    They are no leftovers then, and their rows may be in no other file.
    """
    if manifest.generation or files.exists(NAME):
        return False
    return any(name.startswith(PACKED) for table in tables for name in files.names(table))
