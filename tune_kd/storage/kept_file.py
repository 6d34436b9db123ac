"""A file of a cache, as it is listed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeptFile:
    """A file of a cache: its name there, its size in bytes, and when it was last read or written, in s since 1970.

    Of a file behind a URL, and on a disk that does not record when it is read, it is known when it was written.
    """

    name: str
    bytes: int
    used_s: float
