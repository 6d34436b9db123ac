r"""Tables as LaTeX floats that compile as they are, in one column or two.

They need ``\usepackage{booktabs,graphicx}``, with pdfLaTeX also T1 fonts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from analysis.rendering.table import Table

ESCAPES = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "—": "---",
    "–": "--",
    "₂": r"\textsubscript{2}",
    "²": r"\textsuperscript{2}",
}
ESCAPES |= {"±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$", "<": "$<$", ">": "$>$", "−": "$-$"}
ESCAPES |= {
    "τ": r"$\tau$",
    "α": r"$\alpha$",
    "δ": r"$\delta$",
    "Δ": r"$\Delta$",
    "κ": r"$\kappa$",
    "σ": r"$\sigma$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}
ESCAPES |= {"→": r"$\to$", "∞": r"$\infty$", "·": r"$\cdot$"}
WIDE = 55  # characters of a row above which a table spans both columns of a page


def floats(tables: Sequence[Table]) -> list[str]:
    r"""Each table as a float, with a ``\label`` of its own."""
    labels: list[str] = []
    for table in tables:
        name = _label(table.title)
        number = sum(label == name or label.startswith(f"{name}-no-") for label in labels)
        labels.append(f"{name}-no-{number + 1}" if number else name)
    return [latex(table, label) for table, label in zip(tables, labels, strict=True)]


def latex(table: Table, label: str = "") -> str:
    r"""A ``tabular`` in a ``table`` float, over both columns where it is wide, shrunk to the line where it is wider."""
    align = "l" * table.text_columns + "r" * (len(table.headers) - table.text_columns)
    kind = "table*" if _characters(table) > WIDE else "table"
    head = [
        rf"\begin{{{kind}}}",
        r"\centering",
        rf"\caption{{{escape(table.caption or table.title)}}}",
        rf"\label{{{label or _label(table.title)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        " & ".join(map(escape, table.headers)) + r" \\",
        r"\midrule",
    ]
    body = []
    for i, row in enumerate(table.rows):
        body.append(" & ".join(map(escape, row)) + r" \\")
        if i in table.sections and i + 1 < len(table.rows):
            body.append(r"\midrule")
    return "\n".join([*head, *body, r"\bottomrule", r"\end{tabular}}", *_notes(table.notes), rf"\end{{{kind}}}"])


def escape(text: str) -> str:
    """``text`` with what LaTeX reserves escaped and the symbols used here in commands every engine has."""
    return "".join(ESCAPES.get(character, character) for character in text)


def _notes(notes: Sequence[str]) -> list[str]:
    """A paragraph a note below the table, as wide as the float."""
    if not notes:
        return []
    paragraphs = "\\par\n".join(map(escape, notes))
    box = rf"\begin{{minipage}}{{\linewidth}}\footnotesize\raggedright {paragraphs}\end{{minipage}}"
    return [r"\par\smallskip", box]


def _characters(table: Table) -> int:
    """How long a row is, a blank between its cells."""
    columns = zip(table.headers, *table.rows, strict=True)
    return sum(1 + max(map(len, column)) for column in columns)


def _label(title: str) -> str:
    """``tab:digits-recipe-track`` of a title."""
    return "tab:" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
