"""Numbers as people read them. Records keep base units; these are only for what is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

MISSING = "—"  # what was not measured
SYMBOLS = {"tau": "τ", "alpha": "α"}  # what hyperparameters are called where they are shown
MOVES = ("tau_low", "tau_high", "tau_step")  # where τ moves within a trial
UNNAMED = "accuracy"  # the metric of scores that are called by their part of the data alone

JOULES_PER_WH = 3600.0
JOULES_PER_KWH = 1000 * JOULES_PER_WH
ENERGY_UNITS = (("kWh", JOULES_PER_KWH), ("Wh", JOULES_PER_WH), ("mWh", JOULES_PER_WH / 1000))
_LENGTH_UNITS = (("km", 1.0), ("m", 1e-3), ("cm", 1e-5), ("mm", 1e-6))
_BYTE_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def significant(value: float, digits: int = 3) -> str:
    """``value`` at so many significant digits, without an exponent and without rounding whole numbers."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    after_point = digits - 1 - math.floor(math.log10(abs(value)))
    # 0.9996 has three digits after its point, the 1.00 that it becomes has two.
    after_point = digits - 1 - math.floor(math.log10(abs(round(value, after_point))))
    return f"{value:.{max(after_point, 0)}f}"


def energy(joules: float | None) -> str:
    """Joules in kWh, Wh or mWh, whichever is at least 1; an em dash where nothing was measured."""
    if joules is None:
        return MISSING
    if joules == 0:
        return "0 Wh"
    unit, worth = next((entry for entry in ENERGY_UNITS if joules >= entry[1]), ENERGY_UNITS[-1])
    return f"{significant(joules / worth)} {unit}"


def distance(km: float | None) -> str:
    """Kilometres in km, m, cm or mm, whichever is at least 1; an em dash where it is not known."""
    if km is None:
        return MISSING
    unit, worth = next((entry for entry in _LENGTH_UNITS if km >= entry[1]), _LENGTH_UNITS[-1])
    return f"{significant(km / worth)} {unit}"


def emissions(grams: float | None) -> str:
    """Grams of CO2e as ``12.3 g``; an em dash where they are not known."""
    return MISSING if grams is None else f"{significant(grams)} g"


def percentage(fraction: float | None, digits: int = 1) -> str:
    """A fraction 0–1 as ``90.8``, for where the % stands elsewhere; an em dash where it is not known."""
    return MISSING if fraction is None or not math.isfinite(fraction) else f"{100 * fraction:.{digits}f}"


def percent(fraction: float | None) -> str:
    """A fraction 0–1 as ``90.8 %``; an em dash where it is not known."""
    shown = percentage(fraction)
    return shown if shown == MISSING else f"{shown} %"


def score_name(part: str, metric: str) -> str:
    """What stands before a score in percent: ``val`` if it is an accuracy, ``val mAP`` of another metric."""
    return part if metric == UNNAMED else f"{part} {metric}"


def duration(seconds: float | None) -> str:
    """Seconds as ``1.3 s``, ``41 s``, ``2 min 05 s``, ``1 h 02 min`` or ``3 d 04 h``."""
    if seconds is None:
        return MISSING
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, part, part_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part:02d} {part_unit}"
    return f"{whole} s"


def tau(low: float | None, high: float | None) -> str:
    """The τ of a trial: ``4``, or the range ``2–20`` in which it moved."""
    if low is None or high is None:
        return MISSING
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"


def params(values: Mapping[str, float], low: float | None = None, high: float | None = None) -> str:
    """Hyperparameters of a trial as ``τ 4, α 0.95``, or ``τ 2–20`` if τ moves; an em dash where there is none.

    ``low`` and ``high`` are the τ that the trial had, where that is known beside ``values``.
    """
    if low is None:
        low, high = (values.get(name, values.get("tau")) for name in MOVES[:2])
    rest = {SYMBOLS.get(name, name): value for name, value in values.items() if name not in ("tau", *MOVES)}
    of_tau = [] if (shown := tau(low, high)) == MISSING else [f"τ {shown}"]
    return ", ".join([*of_tau, *(f"{name} {value:g}" for name, value in rest.items())]) or MISSING


def moment(at: datetime | None, now: datetime) -> str:
    """A time as clocks here show it: ``14:32:05``, with the date on another day than ``now``."""
    if at is None:
        return MISSING
    here, today = (datetime.fromtimestamp(when.timestamp()) for when in (at, now))
    return f"{here:%H:%M:%S}" if here.date() == today.date() else f"{here:%Y-%m-%d %H:%M}"


def amount(value: float, currency: str) -> str:
    """A limit in its currency's base unit, as people say it: ``20 trials``, ``50.0 Wh``, ``15 g CO2e``."""
    match currency:
        case "joules":
            return energy(value)
        case "seconds":
            return duration(value)
        case "gco2e":
            return f"{value:g} g CO2e"
        case "flops":
            return f"{value:g} FLOPs"
        case _:
            return plural(int(value), currency.removesuffix("s"))


def size(count: int) -> str:
    """Bytes in the largest unit that leaves at least 1."""
    step = min(int(math.log(count, 1024)), len(_BYTE_UNITS) - 1) if count >= 1 else 0
    return f"{significant(count / 1024**step) if step else count} {_BYTE_UNITS[step]}"


def plural(count: float, noun: str) -> str:
    """``1 run``, ``2 runs``, ``3 policies``, ``0.5 CPUs``."""
    count = int(count) if count == int(count) else count
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"
