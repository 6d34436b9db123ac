"""A table as text: Markdown, LaTeX, CSV, JSON, or rich for a terminal.

CSV and JSON carry the numbers in base units, for machines; the other forms carry the rounded text, for people.
Nothing is computed here. What is missing is an em dash.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from tune_kd import errors
from tune_kd.formats import MISSING, percentage

if TYPE_CHECKING:
    from tune_kd.terminal.table import FittedTable

FORMATS = ("md", "latex", "csv", "json")
_LATEX = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "—": "---",
    "–": "--",
    "₂": r"\textsubscript{2}",
    "²": r"\textsuperscript{2}",
}
_LATEX |= {"±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$", "<": "$<$", ">": "$>$", "−": "$-$"}
_LATEX |= {
    "τ": r"$\tau$",
    "α": r"$\alpha$",
    "δ": r"$\delta$",
    "Δ": r"$\Delta$",
    "κ": r"$\kappa$",
    "σ": r"$\sigma$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}
_LATEX |= {"→": r"$\to$", "∞": r"$\infty$", "·": r"$\cdot$"}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Text to show (``rows`` of ``headers``) over the numbers it was made from (``data``, base units)."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: pd.DataFrame
    notes: Sequence[str] = ()
    text_columns: int = 1  # that many columns, from the left, hold words; the rest numbers, set to the right
    sections: frozenset[int] = field(default_factory=frozenset)  # rows that end a section
    least: Sequence[str] = ()  # headers of what goes first where a terminal is narrow; then the rest, from the right

    def __post_init__(self) -> None:
        if wrong := [row for row in self.rows if len(row) != len(self.headers)]:
            raise ValueError(f"{len(self.headers)} headers, but a row of {len(wrong[0])}: {wrong[0]}")


def number(value: float | None, digits: int = 3) -> str:
    """``value`` at ``digits`` significant digits without an exponent where that is readable, or an em dash."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if not -4 < magnitude < 7:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(digits - 1 - magnitude, 0)}f}"


def plus_minus(mean: float, std: float, digits: int = 1) -> str:
    """Mean and standard deviation of fractions, in percent: '90.9 ±1.5', or the mean alone."""
    spread = f" ±{percentage(std, digits)}" if math.isfinite(std) else ""
    return f"{percentage(mean, digits)}{spread}"


def as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as dicts by column name."""
    return cast("list[dict[str, Any]]", frame.to_dict("records"))


def render(tables: Table | Sequence[Table], form: str) -> str:
    """One or several tables as text of the ``form`` md, latex, csv or json.

    Raises InputError for another form.
    """
    check_form(form)
    tables = [tables] if isinstance(tables, Table) else list(tables)
    if form == "json":
        return "[" + ",\n".join(table.data.to_json(orient="records", date_format="iso") for table in tables) + "]"
    if form == "csv":
        return "\n".join(table.data.to_csv(index=False) for table in tables)
    return "\n\n".join(markdown(table) if form == "md" else latex(table) for table in tables)


def check_form(form: str) -> None:
    """Raises InputError for a form that is none."""
    if form not in FORMATS:
        raise errors.unknown("format", form, FORMATS)


def markdown(table: Table) -> str:
    """A GitHub pipe table with its title above and its notes below."""
    lines = [f"**{table.title}**", "", pipes(table.headers, table.rows, table.text_columns)]
    return "\n".join([*lines, *(f"\n{note}" for note in table.notes)])


def pipes(headers: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    """Rows as a GitHub pipe table; that many columns, from the left, hold words."""
    rule = ["---" if i < text_columns else "---:" for i in range(len(headers))]
    body = [headers, rule, *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in body)


def latex(table: Table) -> str:
    r"""A ``tabular`` in a ``table`` float, shrunk to the line where it is wider.

    Needs ``\usepackage{booktabs,graphicx}``, with pdfLaTeX also T1 fonts.
    """
    align = "l" * table.text_columns + "r" * (len(table.headers) - table.text_columns)
    body = []
    for i, row in enumerate(table.rows):
        body.append(" & ".join(map(escape_latex, row)) + r" \\")
        if i in table.sections and i + 1 < len(table.rows):
            body.append(r"\midrule")
    head = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(table.title)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{align}}}",
    ]
    head += [r"\toprule", " & ".join(map(escape_latex, table.headers)) + r" \\", r"\midrule"]
    notes = [rf"\par\footnotesize {escape_latex(note)}" for note in table.notes]
    return "\n".join([*head, *body, r"\bottomrule", r"\end{tabular}}", *notes, r"\end{table}"])


def escape_latex(text: str) -> str:
    """``text`` with what LaTeX reserves escaped and the symbols used here in commands every engine has."""
    return "".join(_LATEX.get(character, character) for character in text)


def rich_table(table: Table) -> FittedTable:
    """The table for a terminal, fitted to its width when it is printed."""
    from tune_kd.terminal.table import Column, FittedTable

    columns = [
        Column(
            header=header,
            cells=[row[place] for row in table.rows],
            words=place < table.text_columns,
            right=place >= table.text_columns,
        )
        for place, header in enumerate(table.headers)
    ]
    return FittedTable(
        columns=columns,
        least=[table.headers.index(header) for header in table.least],
        title=table.title,
        notes=table.notes,
        ruled=True,
        sections=table.sections,
    )
