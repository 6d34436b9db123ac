"""From joules to g CO2e: location-based, average intensity, offline always."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from tune_kd.errors import InputError
from tune_kd.formats import JOULES_PER_KWH

# Average new passenger car in the EU-28 in 2018 (EEA 2019), the factor behind the paper's comparison.
CAR_G_PER_KM = 120.4
# The European Union's codes, which ISO 3166-1 reserves for these countries and lists under others.
RESERVED_CODES = {"UK": "GB", "EL": "GR"}


@dataclass(frozen=True, kw_only=True)
class Carbon:
    """How joules become g CO2e.

    ``intensity_g_per_kwh`` is the grid's average carbon intensity and ``source`` its origin, in words;
    ``pue`` (power usage effectiveness, >= 1) is the data centre's energy over its computers'. ``region`` (ISO
    3166-1 alpha-3) and ``year`` are those of the intensity, None for a number of the user's own.
    """

    intensity_g_per_kwh: float
    source: str
    pue: float = 1.0
    region: str | None = None
    year: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.intensity_g_per_kwh) and self.intensity_g_per_kwh >= 0):
            raise InputError(f"carbon intensity must be >= 0 g/kWh, got {self.intensity_g_per_kwh}")
        if not (math.isfinite(self.pue) and self.pue >= 1):
            raise InputError(f"PUE must be a finite number >= 1, got {self.pue}")

    def co2e_g(self, energy_j: float | None) -> float | None:
        """Grams of CO2e of ``energy_j`` joules at the computer; None for None."""
        return None if energy_j is None else energy_j / JOULES_PER_KWH * self.pue * self.intensity_g_per_kwh


def carbon(country: str | None = None, intensity_g_per_kwh: float | None = None, pue: float = 1.0) -> Carbon:
    """The user's number, else the country's energy mix, else the world average, named as ``source``.

    A country is given by its ISO 3166-1 code, alpha-3 or alpha-2; ``UK`` and ``EL`` are known, too. Nothing is looked
    up over the network. Raises InputError for a country that is not in codecarbon's table, and checks the country also
    if the user's number takes precedence.
    """
    mix = None if country is None else _energy_mix(country)
    if intensity_g_per_kwh is not None:
        return Carbon(intensity_g_per_kwh=intensity_g_per_kwh, source="given by the user", pue=pue)
    if mix is None:
        return Carbon(
            intensity_g_per_kwh=_world_average(), source=f"world average, IEA 2019 ({_codecarbon()})", pue=pue
        )
    year = mix.get("year")
    dated = f"{mix['country_name']} {year}" if year else str(mix["country_name"])
    return Carbon(
        intensity_g_per_kwh=float(mix["carbon_intensity"]),
        source=f"energy mix of {dated} ({_codecarbon()})",
        pue=pue,
        region=str(mix["iso_code"]),
        year=year,
    )


def car_km(co2e_g: float | None) -> float | None:
    """Kilometres that an average car drives for ``co2e_g`` grams of CO2e, the paper's comparison."""
    return None if co2e_g is None else co2e_g / CAR_G_PER_KM


def country_name(code: str) -> str | None:
    """The name of a country of the table, by its ISO 3166-1 alpha-3 code; None for one that it does not have."""
    mix = _energy_mixes().get(code)
    return None if mix is None else str(mix["country_name"])


def _alpha_3(country: str) -> str:
    """The ISO 3166-1 alpha-3 code for an alpha-2 code; any other text in capitals."""
    code = country.strip().upper()
    if len(code) != 2:
        return code
    import pycountry  # reads its tables: only if such a code is given

    found = pycountry.countries.get(alpha_2=RESERVED_CODES.get(code, code))
    return code if found is None else str(found.alpha_3)


def _energy_mix(country: str) -> dict[str, Any]:
    mix = _energy_mixes().get(_alpha_3(country))
    if mix is None:
        raise InputError(f"unknown country {country!r}; {_nearest_countries(country)}")
    # The table has 0 for one country whose hydropower nobody rated: unknown, not free.
    if not mix.get("carbon_intensity"):
        raise InputError(
            f"no carbon intensity is known for {mix['country_name']} ({mix['iso_code']}); give it in g/kWh"
        )
    return mix


def _nearest_countries(given: str, most: int = 3) -> str:
    """The hint for a country that is not in the table: the nearest by code or by name."""
    spellings: dict[str, str] = {}
    for code, mix in _energy_mixes().items():
        spellings |= {code.lower(): code, str(mix["country_name"]).lower(): code}
    close = difflib.get_close_matches(given.lower(), spellings, n=2 * most, cutoff=0.4)
    codes = list(dict.fromkeys(spellings[spelling] for spelling in close))[:most]
    nearest = ", ".join(f"{code} ({_energy_mixes()[code]['country_name']})" for code in codes)
    return f"nearest: {nearest}" if codes else "give an ISO 3166-1 code such as BGD or DEU"


@cache
def _energy_mixes() -> dict[str, dict[str, Any]]:
    from codecarbon.input import DataSource  # loads pandas: only if carbon is asked for

    mixes: dict[str, dict[str, Any]] = DataSource().get_global_energy_mix_data()
    return mixes


@cache
def _world_average() -> float:
    from codecarbon.input import DataSource

    return float(DataSource().get_carbon_intensity_per_source_data()["world_average"])


def _codecarbon() -> str:
    return f"codecarbon {version('codecarbon')}"
