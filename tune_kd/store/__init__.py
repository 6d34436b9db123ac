"""The store: Parquet tables of all runs, trials, reports and nodes, and the journals they are sealed from.

``open_store(path).trials()`` is a DataFrame; ``create_store(path)`` is what a driver writes to.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tune_kd.store.files.stamp import Fault as Fault
    from tune_kd.store.opening import create_store as create_store
    from tune_kd.store.opening import open_store as open_store
    from tune_kd.store.reading.reader import StoreWarning as StoreWarning
    from tune_kd.store.reading.run_list import RunRecord as RunRecord
    from tune_kd.store.store import Store as Store
    from tune_kd.store.upkeep.merge import Merged as Merged
    from tune_kd.store.upkeep.sweep import Orphan as Orphan
    from tune_kd.store.writing.fold import Attempt as Attempt
    from tune_kd.store.writing.journal import Journal as Journal

_HOMES = {
    "Attempt": "writing.fold",
    "Fault": "files.stamp",
    "Journal": "writing.journal",
    "Merged": "upkeep.merge",
    "Orphan": "upkeep.sweep",
    "RunRecord": "reading.run_list",
    "Store": "store",
    "StoreWarning": "reading.reader",
    "create_store": "opening",
    "open_store": "opening",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name on first use: pyarrow takes longer to load than ``tune-kd --help`` may."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
