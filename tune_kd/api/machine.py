"""What this machine can do."""

from __future__ import annotations

from pathlib import Path

from tune_kd.checks import Check, examine
from tune_kd.storage.cache import cache_at


def doctor(
    *,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    start_ray: bool = False,
    address: str | None = None,
) -> list[Check]:
    """Check Python, Ray, GPUs, energy readers, disk and memory: each check with its mark, and what to do about it.

    ``start_ray`` starts Ray too and runs a task on it; ``address`` is of a cluster whose nodes are looked at.
    """
    return list(examine(store=str(store), cache=cache_at(cache), start_ray=start_ray, address=address))
