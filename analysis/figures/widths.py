"""The widths of a figure on paper, in inches: a column, or all of the page."""

from __future__ import annotations

from tune_kd.errors import InputError

COLUMN, PAGE = 3.5, 7.0
NAMED = {"column": COLUMN, "page": PAGE}


def inches(width: str | float | None) -> float | None:
    """``column``, ``page`` or a number of inches, as a number; None stays None. Raises InputError."""
    if width is None:
        return None
    try:
        found = NAMED.get(str(width)) or float(width)
    except ValueError:
        found = 0.0
    if not 1 <= found <= 40:
        raise InputError(f"--width is column ({COLUMN:g} inches), page ({PAGE:g}) or 1 to 40 inches, got {width!r}")
    return found
