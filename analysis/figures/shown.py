"""New figures in the style of all of ours, which a notebook shows as pictures.

No pyplot here: nothing global, no display. The same records give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import style as styles
from matplotlib.figure import Figure

from tune_kd.errors import InputError

STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "pdf.fonttype": 42,  # letters stay letters, which journals ask for
    "svg.hashsalt": "tune-kd",
}
NOTEBOOK_DPI = 144


class ShownFigure(Figure):
    """A figure that a notebook shows although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=NOTEBOOK_DPI, bbox_inches="tight")
        return picture.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return ShownFigure(figsize=(width, height), layout="constrained")


@contextmanager
def in_style(style: str | Path | None = None) -> Iterator[None]:
    """Our style whatever the user's own settings are, which come back afterwards; over it a ``style`` of matplotlib's.

    ``style`` is a file or a name that matplotlib knows. Raises InputError for one that is neither.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        if style is not None:
            _use(style)
        yield


def _use(style: str | Path) -> None:
    try:
        styles.use(str(style))
    except OSError:
        raise InputError(
            f"--style takes a style file of matplotlib's, or the name of a style that it has, got {str(style)!r}"
        ) from None
