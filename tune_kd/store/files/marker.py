"""The marker: a file that makes a folder a store, with its schema version."""

from __future__ import annotations

import json

from tune_kd.errors import InputError, StoreError
from tune_kd.store.columns import SCHEMA_VERSION
from tune_kd.store.files.local_files import STAGING, Files

NAME = "tune-kd-store.json"
FORMAT = "tune-kd store"


def check(files: Files) -> None:
    """Refuse a folder that is no store, or a store of a newer schema. Raises InputError."""
    try:
        fields = json.loads(files.get(NAME))
        version = int(fields["schema_version"])
        genuine = fields["format"] == FORMAT
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{files.where} is not a tune-kd store; it has no {NAME}") from None
    except (ValueError, TypeError, KeyError):
        genuine, version = False, 0
    if not genuine:
        raise InputError(f"{files.where} is not a tune-kd store; its {NAME} is damaged")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{files.where} is of schema version {version}, and this tune-kd knows up to {SCHEMA_VERSION}; "
            "a newer tune-kd reads it"
        )


def write(files: Files) -> None:
    """Make the place a store."""
    files.put(NAME, (json.dumps({"format": FORMAT, "schema_version": SCHEMA_VERSION}) + "\n").encode())


def prepare(files: Files) -> None:
    """Make the place a store, or see that it is one already. Raises InputError."""
    try:
        found = files.names("")
        if NAME not in found:
            if strangers := [name for name in found if not _ignorable(name)]:
                raise InputError(
                    f"{files.where} is not a tune-kd store and not empty (it holds {strangers[0]!r}); "
                    "give a new or an empty folder"
                )
            write(files)
    except (OSError, StoreError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot make a store at {files.where}: {reason}; give a place that can be written") from None
    check(files)


def _ignorable(name: str) -> bool:
    """Entries that an empty folder may have: a fresh disk's own, hidden files, another process making this store."""
    return name.startswith(".") or name in (STAGING, "lost+found")
