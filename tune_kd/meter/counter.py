"""A cumulative energy counter made of raw readings, which may wrap around, go backwards or fail."""

from __future__ import annotations


class Unavailable(RuntimeError):
    """A reader that does not work here: ``why``, and the ``remedy`` (empty if there is none)."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


class Counter:
    """Joules since the first reading of a hardware counter, which starts anywhere and wraps at ``range_j``.

    A reading below the one before is a wrap-around when that explains it by at most half the range, else
    a reset. The energy across a reset or a failed reading is unknown: it is left out, and ``gaps`` counts it.
    """

    def __init__(self, range_j: float | None = None) -> None:
        self._range_j = range_j
        self._last_j: float | None = None
        self.joules = 0.0
        self.gaps = 0

    def advance(self, raw_j: float | None) -> float:
        """Take in a reading (None: it could not be read); the joules so far."""
        if raw_j is None:
            self.gaps += 1
        elif self._last_j is not None:
            used_j = self._used(self._last_j, raw_j)
            self.gaps += used_j is None
            self.joules += used_j or 0.0
        self._last_j = raw_j
        return self.joules

    def _used(self, last_j: float, raw_j: float) -> float | None:
        if raw_j >= last_j:
            return raw_j - last_j
        if self._range_j is None:
            return None
        wrapped_j = raw_j + self._range_j - last_j
        return wrapped_j if 0 <= wrapped_j <= self._range_j / 2 else None
