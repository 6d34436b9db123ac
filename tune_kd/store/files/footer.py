"""The footers of packed files: which files may hold rows of some runs, without reading the rows."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from tune_kd.store.files import parquet


def may_hold(path: Path, runs: Collection[str]) -> bool:
    """May the file hold rows of one of ``runs``? True also if its footer has no list of runs."""
    try:
        footer = parquet.footer(path)
    except (pa.ArrowException, OSError):
        return True  # the file's check finds the fault
    place = next((at for at in range(footer.num_columns) if footer.schema.column(at).path == "run_id"), None)
    if place is None:
        return True
    groups = (footer.row_group(group).column(place).statistics for group in range(footer.num_row_groups))
    return any(said is None or not said.has_min_max or _between(runs, said.min, said.max) for said in groups)


def _between(runs: Collection[str], low: str, high: str) -> bool:
    return any(low <= run <= high for run in runs)
