"""The options of ``report``: what is shown and how, which files are written, how CO2e is recomputed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tune_kd.cli.choices import FORMATS, ORDERS, one_of
from tune_kd.cli.options import CARBON, OPTIONS, option
from tune_kd.errors import InputError, unknown

if TYPE_CHECKING:
    from analysis.runs.reading import Records

RECORDED = "as recorded"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What is shown, and how. Raises InputError for a form or an order that is none."""

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

    def __post_init__(self) -> None:
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

    @property
    def paths(self) -> Mapping[str, Path]:
        """The files and folders to write, by the name of the field."""
        return {name: Path(file) for name, file in asdict(self).items() if file is not None}

    def check_whole(self, budget: str | None) -> None:
        """Raises InputError for a file beside a ``budget``."""
        for name in self.paths if budget is not None else ():
            raise InputError(f"--{name} is of all that was recorded, --budget of a part of it; leave one of them out")


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

    @property
    def given(self) -> bool:
        """Whether there is one."""
        return self != Factors()

    def applied_to(self, records: Records) -> Records:
        """The records with CO2e by these factors; the same records where there is none. Raises InputError."""
        if not self.given:
            return records
        from analysis.runs.carbon import recompute

        return recompute(records, country=self.country, carbon_intensity=self.carbon_intensity, pue=self.pue)
