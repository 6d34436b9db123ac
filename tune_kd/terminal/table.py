"""Tables for a terminal of any width: columns go, the least important first, or lines wrap; nothing shown is cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from tune_kd.terminal.streams import spelled

READABLE = 80  # columns that title and notes may have beside a narrower table
LONGEST_PIECE = 24  # what is longer and has no place to break, as a checksum, breaks anywhere


@dataclass(frozen=True)
class Words:
    """A cell such as ``annealing:shape=cosine``: where it is narrow it breaks between its words, not within one."""

    text: str

    @property
    def pieces(self) -> list[str]:
        """What stays together."""
        return re.findall(r"\.?[^ :=,/_.-]+[ :=,/_-]*|[ :=,/_.-]", self.text)

    @property
    def longest(self) -> int:
        """The widest piece."""
        return max((cell_len(piece.rstrip()) for piece in self.pieces), default=0)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.longest, cell_len(self.text)).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [""]
        for piece in self.pieces:
            if lines[-1] and cell_len(lines[-1] + piece.rstrip()) > options.max_width:
                lines.append("")
            lines[-1] += piece
        yield Text("\n".join(line.rstrip() for line in lines), overflow="fold")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of words, whose cells may wrap between them, or of figures and marks, whose cells never do."""

    header: str
    cells: Sequence[str | RenderableType]  # what is no text is as wide as the header, or as ``width``
    words: bool = False
    right: bool = False
    width: int = 0  # at least

    def spelled(self, encoding: str) -> Column:
        """The same in characters that the encoding has."""
        cells = [spelled(cell, encoding) if isinstance(cell, str) else cell for cell in self.cells]
        return replace(self, header=spelled(self.header, encoding), cells=cells)

    @property
    def texts(self) -> list[str]:
        """The cells that are text."""
        return [cell for cell in self.cells if isinstance(cell, str)]

    @cached_property
    def natural(self) -> int:
        """How wide it is where there is room."""
        return max(self.width, *(cell_len(text) for text in (self.header, *self.texts)))

    @cached_property
    def least(self) -> int:
        """How wide it must be: as its figures, or as the longest of its words; a header wraps."""
        in_cells = [Words(text).longest if self.words else cell_len(text) for text in self.texts]
        most = LONGEST_PIECE if self.words else max(in_cells, default=0)
        return max(self.width, Words(self.header).longest, *(min(wide, most) for wide in (*in_cells, 0)))


@dataclass(frozen=True, kw_only=True)
class FittedTable:
    """A table that is fitted to the terminal when it is printed. Its first column names what the others describe.

    ``least`` are the places of columns, the least important first. The rest goes after them, the last first.
    """

    columns: Sequence[Column]
    least: Sequence[int] = ()
    title: str = ""
    notes: Sequence[str] = ()
    gap: int = 2
    ruled: bool = False  # a line below the headers
    header_style: StyleType = "bold"
    sections: frozenset[int] = field(default_factory=frozenset)  # rows that end a section
    strong: frozenset[int] = field(default_factory=frozenset)  # rows in bold

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, left_out = self._spelled(options.encoding)._fitting(options.max_width)
        widths = self._widths(shown, options.max_width)
        beside = options.update_width(min(options.max_width, max(READABLE, self._total(widths))))
        if self.title:
            yield from console.render(Text(self.title, style="bold", overflow="fold"), beside)
        yield self._table(shown, widths)
        notes = [*self.notes, *_said(left_out)]
        if notes:
            yield from console.render(Text("\n".join(notes), style="dim", overflow="fold"), beside)

    def _spelled(self, encoding: str) -> FittedTable:
        """The same in characters that the terminal has."""
        return replace(self, columns=[column.spelled(encoding) for column in self.columns])

    def _fitting(self, room: int) -> tuple[list[Column], list[Column]]:
        """The columns that there is room for, and those that are left out. Two stay in any case."""
        rest = [place for place in reversed(range(1, len(self.columns))) if place not in self.least]
        order, shown = [*self.least, *rest], list(range(len(self.columns)))
        while len(shown) > 2 and self._total([self.columns[place].least for place in shown]) > room:
            shown.remove(order.pop(0))
        left_out = [column for place, column in enumerate(self.columns) if place not in shown]
        return [self.columns[place] for place in shown], left_out

    def _widths(self, shown: Sequence[Column], room: int) -> list[int]:
        """The widest first gives way: columns of words down to their words, then headers, then whatever there is."""
        widths = [column.natural for column in shown]
        wrapping = [column.least if column.words else column.natural for column in shown]
        folding = [1 if column.words else column.least for column in shown]
        for least in (wrapping, [column.least for column in shown], folding, [1] * len(shown)):
            while self._total(widths) > room and any(map(int.__gt__, widths, least)):
                widest = max((width, place) for place, width in enumerate(widths) if width > least[place])[1]
                widths[widest] -= 1
        return widths

    def _total(self, widths: Sequence[int]) -> int:
        return sum(widths) + self.gap * (len(widths) - 1)

    def _table(self, shown: Sequence[Column], widths: Sequence[int]) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD if self.ruled else None,
            padding=(0, self.gap - 1 if self.ruled else self.gap, 0, 0),
            pad_edge=False,
            show_edge=False,
            header_style=self.header_style,
        )
        for column, width in zip(shown, widths, strict=True):
            header = Text(column.header, overflow="fold")
            table.add_column(header, justify="right" if column.right else "left", width=width, overflow="fold")
        for row in range(len(self.columns[0].cells)):
            cells = (_rendered(column, row, width) for column, width in zip(shown, widths, strict=True))
            table.add_row(*cells, end_section=row in self.sections, style="bold" if row in self.strong else None)
        return table


def _rendered(column: Column, row: int, width: int) -> RenderableType:
    cell = column.cells[row]
    if not isinstance(cell, str):
        return cell
    return Words(cell) if column.words or cell_len(cell) > width else Text(cell, no_wrap=True)


def _said(left_out: Sequence[Column]) -> list[str]:
    names = ", ".join(column.header for column in left_out if column.header)
    return [f"left out for want of room: {names}; a wider terminal, or COLUMNS=120, has them"] if names else []
