"""The store, cache and data of recorded runs, as several commands take them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tune_kd.cli.options import CACHE, DATA_ROOT, OPTIONS, STORE, option

if TYPE_CHECKING:
    from tune_kd.store import Store

Where = Annotated[str, option(OPTIONS, "Where the records are.", STORE)]
Cache = Annotated[str | None, option(OPTIONS, "Where teachers, data and checkpoints live.", "DIR|URL", default=CACHE)]
DataRoot = Annotated[str | None, option(OPTIONS, DATA_ROOT, "DIR", default="in the cache")]


def opened(store: str | Path, cache: str | Path | None) -> Store:
    """The store, with what it keeps in this cache if it is at a URL. Raises StoreError where there is none."""
    from tune_kd.storage.cache import cache_at
    from tune_kd.store import open_store

    return open_store(store, cache=cache_at(cache).folder)


def folder(given: str | None) -> Path | None:
    """A folder as it was typed, if it was."""
    return None if given is None else Path(given)
