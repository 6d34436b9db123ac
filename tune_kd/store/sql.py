"""Names and texts as SQL."""

from __future__ import annotations

from collections.abc import Iterable


def quoted(name: str) -> str:
    """``name`` as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """``text`` as a string of SQL."""
    return "'" + text.replace("'", "''") + "'"


def listed(texts: Iterable[str]) -> str:
    """``texts`` as the right side of SQL's IN."""
    return f"({', '.join(map(literal, texts))})"
