"""Pieces of HTML for the report; all text is escaped here."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.rendering.table import Table

VERDICTS = ("better", "worse", "equivalent")


def html_table(table: Table, heading: str = "") -> str:
    """A :class:`analysis.rendering.table.Table` as HTML, verdicts coloured; a wide one scrolls by itself."""
    head = tag("h3", heading) if heading else tag("p", table.title) if table.title else ""
    shown = plain_table(table.headers, table.rows, words=table.text_columns)
    return head + shown + "".join(tag("p", note, "note") for note in table.notes)


def plain_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1, raw: set[int] | None = None
) -> str:
    """Cells as they are; the first ``words`` columns to the left, those of ``raw`` already HTML."""

    def cell(name: str, i: int, text: str) -> str:
        kinds = [*(["word"] if i < words else []), *([text] if text in VERDICTS else [])]
        shown = text if raw and i in raw and name == "td" else html.escape(text)
        return f"<{name}{_class(' '.join(kinds))}>{shown}</{name}>"

    head = "".join(cell("th", i, text) for i, text in enumerate(headers))
    body = "".join(f"<tr>{''.join(cell('td', i, text) for i, text in enumerate(row))}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def matrix_table(matrix: np.ndarray) -> str:
    """A confusion matrix, tinted by the share of its row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    rows = []
    for counts, parts in zip(matrix, shares, strict=True):
        tints = (f"color-mix(in srgb, #0072b2 {100 * part:.0f}%, transparent)" for part in parts)
        cells = (f'<td style="background:{tint}">{count}</td>' for tint, count in zip(tints, counts, strict=True))
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table class="confusion"><tbody>{"".join(rows)}</tbody></table></div>'


def most_confused_table(matrix: np.ndarray, most: int = 10) -> str:
    """The ``most`` frequent confusions of a matrix too large to show."""
    wrong = matrix - np.diag(np.diag(matrix))
    places = np.argsort(wrong, axis=None)[::-1][:most]
    found = [(int(i), int(j)) for i, j in zip(*np.unravel_index(places, wrong.shape), strict=True)]
    rows = [(f"{i} taken for {j}", str(wrong[i, j])) for i, j in found if wrong[i, j]]
    return plain_table(["class", "images"], rows)


def bar(shares: Sequence[float], colours: Sequence[str]) -> str:
    """A stacked bar; ``shares`` of the widest bar, NaN left out."""
    known = [(share, colour) for share, colour in zip(shares, colours, strict=True) if np.isfinite(share)]
    parts = (f'<i style="width:{100 * share:.2f}%;background:{colour}"></i>' for share, colour in known)
    return f'<span class="bar">{"".join(parts)}</span>'


def figure(chart: Mapping[str, Any], caption: str) -> str:
    """A chart (see :mod:`analysis.figures.charts`), which ``report.js`` draws."""
    # A name with a tag in it must not end the script element that holds it.
    data = json.dumps(chart, ensure_ascii=False).replace("<", "\\u003c")
    inside = f'<script type="application/json">{data}</script>{tag("figcaption", caption)}'
    return f"<figure data-chart>{inside}</figure>"


def folded(summary: str, inside: str) -> str:
    """HTML behind a line to click on."""
    return f"<details><summary>{html.escape(summary)}</summary>{inside}</details>"


def tag(name: str, text: str, kind: str = "") -> str:
    """An element of plain text, escaped."""
    return f"<{name}{_class(kind)}>{html.escape(text)}</{name}>"


def _class(kinds: str) -> str:
    return f' class="{kinds}"' if kinds else ""
