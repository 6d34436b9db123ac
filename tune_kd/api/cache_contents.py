"""What lies in the cache, and how it is freed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.budget.amount import parse_budget
from tune_kd.errors import InputError, unknown
from tune_kd.storage import in_use
from tune_kd.storage.cache import Cache, cache_at
from tune_kd.storage.contents import KINDS, Entry, entries, remove

if TYPE_CHECKING:
    import pandas as pd


def cache_ls(what: Sequence[str] | None = None, *, cache: str | Path | None = None) -> pd.DataFrame:
    """What lies in the cache, a row an entry: its kind, name, size in bytes, last use, and whose it is.

    ``what`` has kinds and names of entries; by default all. An entry ``in_use`` is held by a running study. Raises
    InputError for a kind or name that is not there, StoreError.
    """
    return _frame(listed(cache_at(cache), what))


def cache_rm(
    what: Sequence[str] | None = None,
    *,
    all: bool = False,
    older_than: str | None = None,
    dry_run: bool = False,
    cache: str | Path | None = None,
) -> pd.DataFrame:
    """Remove entries of the cache for good; the rows of what was removed, as :func:`cache_ls` has them.

    ``what`` has kinds and names of entries. Of them, or of all where none is named, those go that were not used for the
    time ``older_than``, as ``30d``. What a running study holds stays. A ``dry_run`` removes nothing. Raises InputError,
    StoreError.
    """
    return _frame(freed(cache_at(cache), what, all=all, older_than=older_than, dry_run=dry_run).entries)


@dataclass(frozen=True)
class Freed:
    """The entries that were removed, and those that stayed because a running study holds them."""

    entries: list[Entry]
    held: list[Entry]


def listed(cache: Cache, what: Sequence[str] | None = None) -> list[Entry]:
    """The entries of these kinds and names; by default all. Raises InputError, StoreError."""
    # Who only looks makes no folder for the lock.
    there = (cache.folder / in_use.OUTPUTS).is_dir()
    with in_use.uses_fixed(cache.folder) if there else nullcontext():
        return _named(what, entries(cache, in_use.names_in_use(cache.folder)))


def freed(
    cache: Cache,
    what: Sequence[str] | None = None,
    *,
    all: bool = False,
    older_than: str | None = None,
    dry_run: bool = False,
) -> Freed:
    """As :func:`cache_rm`, but with what stayed."""
    if all and what:
        raise InputError(f"--all is everything, and {', '.join(what)} was named; give one of them")
    if not (all or what or older_than):
        raise InputError(
            f"nothing to remove was named; give a kind ({', '.join(KINDS)}), a name, --older-than or --all"
        )
    before_s = time.time() - (0.0 if older_than is None else _age_s(older_than))
    if dry_run:
        return _sorted_out(listed(cache, what), before_s)
    with in_use.uses_fixed(cache.folder):
        found = _sorted_out(_named(what, entries(cache, in_use.names_in_use(cache.folder))), before_s)
        remove(cache, found.entries)
    return found


def _sorted_out(found: Sequence[Entry], before_s: float) -> Freed:
    old = [entry for entry in found if entry.used_s <= before_s]
    return Freed([entry for entry in old if not entry.in_use], [entry for entry in old if entry.in_use])


def _named(what: Sequence[str] | None, found: list[Entry]) -> list[Entry]:
    """Those of the entries that are of a kind, or have a name, in ``what``."""
    if not what:
        return found
    known = {*KINDS, *(entry.name for entry in found)}
    for name in what:
        if name not in known:
            raise unknown("kind or entry of the cache", name, known)
    return [entry for entry in found if entry.kind in what or entry.name in what]


def _age_s(text: str) -> float:
    """``30d``, ``12h`` or ``90min`` in seconds. Raises InputError."""
    wanted = InputError(f"--older-than takes a time such as 30d, 12h or 90min, got {text!r}")
    try:
        found = parse_budget(text)
    except InputError:
        raise wanted from None
    if found.currency != "seconds":
        raise wanted
    return found.limit


def _frame(found: Sequence[Entry]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "kind": [entry.kind for entry in found],
            "name": [entry.name for entry in found],
            "of": [", ".join(entry.of) or None for entry in found],
            "bytes": pd.array([entry.bytes for entry in found], dtype="int64"),
            "used_at": pd.to_datetime([entry.used_s for entry in found], unit="s", utc=True),
            "in_use": pd.array([entry.in_use for entry in found], dtype="bool"),
        }
    )
