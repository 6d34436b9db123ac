"""CO2e in a report: recomputed from the stored joules, and in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records
from tune_kd import formats
from tune_kd.formats import JOULES_PER_KWH
from tune_kd.meter.carbon import CAR_G_PER_KM, car_km, carbon

if TYPE_CHECKING:
    import pandas as pd

# What meter.carbon says of its factor, for a reader.
CAR = "for that CO2e an average car (new in the EU-28 in 2018, EEA 2019)"
MOST_NAMED = 8  # policies in a line of prose
SOURCE = ["carbon_g_per_kwh", "carbon_source", "pue"]


def recompute(
    records: Records, *, country: str | None = None, carbon_intensity: float | None = None, pue: float | None = None
) -> Records:
    """The records with all g CO2e from their joules, by another intensity, another PUE or both.

    What is not given stays as recorded. Raises InputError for an unknown country or an impossible number.
    """
    given = carbon(country, carbon_intensity, 1.0 if pue is None else pue)
    trials, reports, runs = records.trials.copy(), records.reports.copy(), records.runs.copy()
    if country is not None or carbon_intensity is not None:
        trials["carbon_g_per_kwh"], trials["carbon_source"] = given.intensity_g_per_kwh, given.source
        trials["carbon_region"], trials["carbon_year"] = given.region, given.year
    if pue is not None:
        trials["pue"] = given.pue
    g_per_joule = (trials["pue"] * trials["carbon_g_per_kwh"] / JOULES_PER_KWH).rename("g_per_joule")
    _refill(trials, g_per_joule, "", "inference_")
    by_attempt = g_per_joule.set_axis(_attempts(trials))
    _refill(reports, by_attempt.reindex(_attempts(reports)).set_axis(reports.index), "")
    by_run = g_per_joule.groupby(trials["run_id"]).first()
    _refill(runs, runs["run_id"].map(by_run), "shared_", "teacher_", "pool_")
    outcomes = run_outcomes(runs, trials, records.nodes)
    return replace(records, runs=runs, trials=trials, reports=reports, outcomes=outcomes)


def _refill(frame: pd.DataFrame, g_per_joule: pd.Series, *prefixes: str) -> None:
    for prefix in prefixes:
        frame[f"{prefix}co2e_g"] = frame[f"{prefix}energy_j"] * g_per_joule


def _attempts(frame: pd.DataFrame) -> pd.MultiIndex:
    import pandas as pd

    return pd.MultiIndex.from_frame(frame[["trial_id", "attempt"]])


def sources(trials: pd.DataFrame, recomputed: bool) -> list[str]:
    """A line for each factor by which the trials' joules became g CO2e."""
    how = "recomputed from the stored joules" if recomputed else "as recorded"
    factors = trials[SOURCE].dropna().drop_duplicates().itertuples(index=False)
    return [f"CO2e {how}: {intensity:g} g/kWh, {source}, PUE {pue:g}" for intensity, source, pue in factors]


def drives(table: pd.DataFrame) -> list[str]:
    """A line on how far a car would drive for the g CO2e of each policy; none where they are not known.

    Of many policies it names the two between which the others are.
    """
    known = table.dropna(subset=["co2e_g"])
    if many := len(known) > MOST_NAMED:
        known = known.sort_values("co2e_g", kind="stable").iloc[[0, -1]]
    distances = (formats.distance(car_km(grams)) for grams in known["co2e_g"])
    by_policy = [f"{label} {distance}" for label, distance in zip(known["label"], distances, strict=True)]
    return (
        [f"{CAR}, {CAR_G_PER_KM:g} g/km, would drive: {' to '.join(by_policy) if many else ', '.join(by_policy)}"]
        if by_policy
        else []
    )
