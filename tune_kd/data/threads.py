"""A function over many small items, in threads. It should release the GIL, as PIL's decoding and hashing do."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_ITEMS_PER_TASK = 256  # a task for each item would cost as much as a small item itself


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """``function`` of every item, in their order."""
    chunks = [items[start : start + _ITEMS_PER_TASK] for start in range(0, len(items), _ITEMS_PER_TASK)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        results = threads.map(lambda chunk: [function(item) for item in chunk], chunks)
        return [result for chunk in results for result in chunk]
