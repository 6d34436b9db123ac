"""What records show, written to files: a page, figures, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.errors import InputError, unknown
from tune_kd.formats import plural

if TYPE_CHECKING:
    from analysis.runs.reading import Records

TABLES = {".md": "md", ".tex": "latex", ".csv": "csv", ".json": "json"}


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How files are written: costs in a currency, tables in an order, figures so wide and in a style."""

    currency: str = "energy"
    order: str = "energy"
    width: str | float | None = None  # column, page or inches
    style: str | Path | None = None  # of matplotlib's, over ours

    def files(self, records: Records, wanted: Mapping[str, Path]) -> dict[Path, str]:
        """Write each of ``wanted``, a file or folder by what it is (a key of ``WRITERS``); what was written, in words.

        Raises InputError for a place that cannot be written.
        """
        said = {}
        for kind, path in wanted.items():
            try:
                said[path] = WRITERS[kind](self, records, path)
            except OSError as error:
                raise InputError(f"{path} cannot be written: {error.strerror}") from None
        return said

    def html(self, records: Records, file: Path) -> str:
        """The page."""
        from analysis import report as page

        page.write(records, file, currency=self.currency)
        return f"the page is {file}"

    def pdf(self, records: Records, file: Path) -> str:
        """All figures as pages of a file, or each as a file of a folder."""
        from analysis.figures.files import save_pdf

        if file.suffix != ".pdf":
            return self._figures(records, file, "pdf")
        pages = save_pdf(records, file, currency=self.currency, width=self.width, style=self.style)
        return f"{pages} figures are the pages of {file}"

    def png(self, records: Records, folder: Path) -> str:
        """Each figure as a picture."""
        return self._figures(records, folder, "png")

    def svg(self, records: Records, folder: Path) -> str:
        """Each figure as a vector graphic for a web page."""
        return self._figures(records, folder, "svg")

    def tex(self, records: Records, folder: Path) -> str:
        """The tables in LaTeX, a file a comparison."""
        from analysis.rendering.latex import floats
        from tune_kd.results.tables import ranking_tables

        folder.mkdir(parents=True, exist_ok=True)
        tables = ranking_tables(records, self.order)
        by_comparison: dict[int, list[str]] = {}
        for table, text in zip(tables, floats(tables), strict=True):
            by_comparison.setdefault(int(table.data["comparison"].iloc[0]), []).append(text)
        for comparison, texts in by_comparison.items():
            (folder / f"ranking-{comparison}.tex").write_text("\n\n".join(texts) + "\n", encoding="utf-8")
        return f"the tables of {plural(len(by_comparison), 'comparison')} are in {folder}, a file each"

    def _figures(self, records: Records, folder: Path, form: str) -> str:
        from analysis.figures.files import save_figures

        paths = save_figures(records, folder, form=form, currency=self.currency, width=self.width, style=self.style)
        return f"{len(paths)} figures are in {folder}"


WRITERS = {"html": Writing.html, "pdf": Writing.pdf, "png": Writing.png, "svg": Writing.svg, "tex": Writing.tex}


def write_report(records: Records, file: Path, writing: Writing) -> Path:
    """Write a page (.html), all figures (.pdf) or the tables (.md, .tex, .csv, .json). Raises InputError."""
    kind = file.suffix
    if kind in (".html", ".pdf"):
        writing.files(records, {kind[1:]: file})
    elif kind in TABLES:
        _write_tables(records, file, writing.order)
    else:
        raise unknown("kind of report:", kind, (".html", ".pdf", *TABLES))
    return file


def _write_tables(records: Records, file: Path, order: str) -> None:
    from analysis.rendering.table import render
    from tune_kd.results.tables import data_tables, ranking_tables

    form = TABLES[file.suffix]
    tables = data_tables(records, order) if form in ("csv", "json") else ranking_tables(records, order)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(render(tables, form) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from None
