"""Figures as files: vectors for a paper, pictures for a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.figures.drawings import figures
from analysis.figures.shown import in_style
from analysis.figures.widths import inches
from analysis.runs.reading import Records
from tune_kd import errors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMS = ("pdf", "svg", "png")
# What would say when a file was made.
UNDATED: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
Width = str | float | None  # a column's, a page's, or inches
Style = str | Path | None  # a style of matplotlib's, by its file or name


def save_figures(
    records: Records,
    directory: Path,
    *,
    form: str = "pdf",
    currency: str = "energy",
    width: Width = None,
    style: Style = None,
) -> list[Path]:
    """Writes every figure to ``directory`` (made if missing) and gives the paths.

    Raises InputError for a form, a width or a style that is none.
    """
    if form not in FORMS:
        raise errors.unknown("figure format", form, FORMS)
    wide = inches(width)
    return save(lambda: _drawn(records, currency, wide), directory, [form], style, exact=wide is not None)


def save(
    made: Callable[[], Iterable[tuple[str, Figure]]],
    directory: Path,
    forms: Sequence[str],
    style: Style = None,
    *,
    exact: bool = False,
) -> list[Path]:
    """Writes what ``made`` gives to ``directory`` (made if missing), each figure in every form; gives the paths.

    Figures are ``exact``ly as wide as they were made, or cut to what is in them.
    """
    paths = []
    with in_style(style):
        directory.mkdir(parents=True, exist_ok=True)
        for name, figure in made():
            for form in forms:
                paths.append(directory / f"{name}.{form}")
                figure.savefig(paths[-1], bbox_inches=_box(exact), dpi=200, metadata=UNDATED[form])
    return paths


def save_pdf(
    records: Records, path: Path, *, currency: str = "energy", width: Width = None, style: Style = None
) -> int:
    """Writes every figure as a page of one PDF, its folder made if missing; gives the number of pages."""
    from matplotlib.backends.backend_pdf import PdfPages

    wide, pages = inches(width), 0
    with in_style(style):
        path.parent.mkdir(parents=True, exist_ok=True)
        with PdfPages(path, metadata=UNDATED["pdf"]) as pdf:
            for _, figure in _drawn(records, currency, wide):
                pdf.savefig(figure, bbox_inches=_box(wide is not None))
                pages += 1
    return pages


def _drawn(records: Records, currency: str, width: float | None) -> Iterator[tuple[str, Figure]]:
    return ((name, drawing.figure(width)) for name, drawing in figures(records, currency))


def _box(exact: bool) -> str | None:
    return None if exact else "tight"
