"""The live table in a notebook: one output of its cell, changed in place.

Nothing waits for the notebook's event loop, so it works where one is running, as in every Jupyter kernel.
"""

from __future__ import annotations

import io
import time
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from tune_kd.progress.live_table import RichProgress
from tune_kd.progress.watching import Clock

WIDTH = 100  # columns that a notebook's cell shows without scrolling
HEIGHT = 60  # lines, above which the first runs are left out
PAGE = '<pre style="line-height:normal;overflow-x:auto">{code}</pre>'


def recording() -> Console:
    """A console that only keeps what is printed to it."""
    return Console(file=io.StringIO(), record=True, width=WIDTH, height=HEIGHT, force_jupyter=False, highlight=False)


class CellOutput:
    """What :class:`rich.live.Live` is to a terminal: the console's lines, and below them what changes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.transient = False
        self.is_started = False
        self._handle: Any = None
        self._shown: RenderableType = Text()

    def start(self) -> None:
        """Show the output, once."""
        if not self.is_started:
            self.is_started = True
            self.refresh()

    def update(self, shown: RenderableType) -> None:
        """Put ``shown`` in the place of what was there."""
        self._shown = shown
        self.refresh()

    def stop(self) -> None:
        """Leave what is shown; where it was of passing interest, the lines above it alone."""
        if self.transient:
            self.update(Text())
        self.is_started = False

    def refresh(self) -> None:
        """Bring the output up to date."""
        from IPython.display import HTML, display

        if not self.is_started:
            return
        page = HTML(self._lines() + self._html())
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)

    def _lines(self) -> str:
        """What was printed so far."""
        return self.console.export_html(clear=False, inline_styles=True, code_format=PAGE)

    def _html(self) -> str:
        console = recording()
        console.print(self._shown)
        return console.export_html(inline_styles=True, code_format=PAGE)


class NotebookProgress(RichProgress):
    """The live table as one output of a notebook's cell."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        console = recording()
        super().__init__(console, clock)
        self.cell = CellOutput(console)
        self.live = self.cell

    def note(self, text: str) -> None:
        super().note(text)
        self.cell.refresh()
