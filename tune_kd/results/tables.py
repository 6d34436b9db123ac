"""Tables of records as a notebook shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.rendering.table import Table
    from analysis.runs.reading import Records


def ranking_tables(records: Records, by: str = "energy", *, recomputed: bool = False) -> Sequence[Table]:
    """What policies reached and cost, and the verdicts where there are replicates.

    ``recomputed`` says that their CO2e is not as recorded.
    """
    from analysis.pages.costs_and_verdicts import costs_and_verdicts

    return costs_and_verdicts(records, (), by, recomputed)


def data_tables(records: Records, by: str = "energy") -> Sequence[Table]:
    """The same for machines: a table a comparison, with costs and verdicts side by side."""
    from analysis.pages.costs_and_verdicts import verdict_tables

    return verdict_tables(records, (), by)


def as_html(tables: Sequence[Table], title: str) -> str:
    """Tables below a line of text, as a part of an HTML page."""
    from analysis.rendering.markup import html_table, tag

    return tag("p", title) + "".join(html_table(table) for table in tables)
