"""The options of ``report``: what is shown and how, which files are written, how CO2e is recomputed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tune_kd.api.names import ACCOUNTINGS
from tune_kd.cli.choices import FORMATS, ORDERS, WIDTHS, one_of
from tune_kd.cli.options import CARBON, OPTIONS, option
from tune_kd.errors import unknown

RECORDED = "as recorded"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What is shown, and how. Raises InputError for a form, an order or an accounting that is none."""

    form: Annotated[
        str,
        option(
            OPTIONS,
            "table, md, csv, json or latex; csv and json in base units.",
            "NAME",
            "--format",
            complete=one_of(FORMATS),
        ),
    ] = "table"
    by: Annotated[
        str,
        option(
            OPTIONS,
            "energy, flops, co2e, time or epochs: least first; accuracy: best first; named: as the policies were.",
            "NAME",
            complete=one_of(ORDERS),
        ),
    ] = "energy"
    study: Annotated[
        str | None,
        option(
            OPTIONS,
            "One study alone: its id, its name (the latest of that name), or latest.",
            "ID|NAME|latest",
            default="all that the store has",
        ),
    ] = None
    budget: Annotated[
        str | None,
        option(
            OPTIONS,
            "Cut every run where it had spent so much: 5trials, 100epochs, 3e15flops, 50Wh, 15g, 10min.",
            "AMOUNT",
            default=RECORDED,
        ),
    ] = None

    accounting: Annotated[
        str,
        option(
            OPTIONS,
            "Modelled RAM and idle energy: by-the-hour, as charged; own-pace: of the time undisturbed.",
            "NAME",
            complete=one_of(ACCOUNTINGS),
        ),
    ] = ACCOUNTINGS[0]

    def __post_init__(self) -> None:
        if self.accounting not in ACCOUNTINGS:
            raise unknown("accounting", self.accounting, ACCOUNTINGS)
        if self.form not in FORMATS:
            raise unknown("format", self.form, FORMATS)
        if self.by not in ORDERS:
            raise unknown("order", self.by, ORDERS)


@dataclass(frozen=True, kw_only=True)
class Files:
    """What is written beside it, of all that was recorded."""

    html: Annotated[
        str | None, option(OPTIONS, "Write a page with figures and all the tables, too.", "FILE", default="none")
    ] = None
    pdf: Annotated[
        str | None,
        option(
            OPTIONS,
            "Write the figures as vectors, too: all into FILE.pdf, or each into DIR.",
            "FILE|DIR",
            default="none",
        ),
    ] = None
    png: Annotated[str | None, option(OPTIONS, "Write the figures as pictures, too.", "DIR", default="none")] = None
    svg: Annotated[
        str | None, option(OPTIONS, "Write the figures as vectors for a web page, too.", "DIR", default="none")
    ] = None
    tex: Annotated[
        str | None, option(OPTIONS, "Write the tables in LaTeX, too, a file a comparison.", "DIR", default="none")
    ] = None
    width: Annotated[
        str | None,
        option(
            OPTIONS,
            "How wide figures are: column, page (of a two-column paper) or inches.",
            "NAME|INCHES",
            default="column; page for many policies",
            complete=one_of(WIDTHS),
        ),
    ] = None
    style: Annotated[
        str | None, option(OPTIONS, "A style of matplotlib's over ours, by its file or name.", "FILE", default="ours")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Factors:
    """By what joules become CO2e where it is not as recorded."""

    country: Annotated[
        str | None, option(CARBON, "Recompute CO2e with this country's energy mix.", "ISO", default=RECORDED)
    ] = None
    carbon_intensity: Annotated[
        float | None, option(CARBON, "Recompute CO2e with so many g CO2e/kWh.", "X", default=RECORDED)
    ] = None
    pue: Annotated[float | None, option(CARBON, "Recompute CO2e with this PUE.", "X", default=RECORDED)] = None
