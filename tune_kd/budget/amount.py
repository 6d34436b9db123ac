"""A budget: one currency and one limit, as it is typed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tune_kd.errors import InputError, nearest
from tune_kd.formats import JOULES_PER_KWH, JOULES_PER_WH

# What one of each unit is worth in its currency's base unit.
UNITS: dict[str, tuple[str, float]] = {
    "trials": ("trials", 1),
    "trial": ("trials", 1),
    "trials-equivalent": ("trials-equivalent", 1),  # energy: so many times that of one fixed-τ trial
    "epochs": ("epochs", 1),
    "epoch": ("epochs", 1),
    "flops": ("flops", 1),
    "mflops": ("flops", 1e6),
    "gflops": ("flops", 1e9),
    "tflops": ("flops", 1e12),
    "pflops": ("flops", 1e15),
    "j": ("joules", 1),
    "joules": ("joules", 1),
    "kj": ("joules", 1e3),
    "mJ": ("joules", 1e-3),  # m and M differ by their case alone: these are read as they are typed
    "MJ": ("joules", 1e6),
    "mWh": ("joules", JOULES_PER_WH / 1000),
    "wh": ("joules", JOULES_PER_WH),
    "kwh": ("joules", JOULES_PER_KWH),
    "mg": ("gco2e", 1e-3),
    "g": ("gco2e", 1),
    "kg": ("gco2e", 1e3),
    "mgco2e": ("gco2e", 1e-3),
    "gco2e": ("gco2e", 1),
    "kgco2e": ("gco2e", 1e3),
    "s": ("seconds", 1),
    "seconds": ("seconds", 1),
    "min": ("seconds", 60),
    "h": ("seconds", 3600),
    "d": ("seconds", 86400),
}

EQUIVALENT = "trials-equivalent"

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_UNIT = r"(?:[mk]?g ?[Cc][Oo]2[Ee]|[A-Za-z-]+)?"
EXAMPLES = "20trials, 400epochs, 3e15flops, 50Wh, 15g, 10min"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much a run may spend: ``limit`` in trials, epochs, flops, joules, gco2e or seconds."""

    currency: str
    limit: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.limit) and self.limit > 0):
            raise InputError(f"the budget must be > 0 {self.currency}, got {self.limit:g}; for example {EXAMPLES}")
        if self.currency == "trials" and self.limit != int(self.limit):
            raise InputError(f"a budget in trials must be a whole number, got {self.limit:g}")

    def measured(self, trial_energy_j: float) -> Budget:
        """In joules, where it is in trials' equivalents: so many times what one fixed-τ trial was measured to use."""
        return Budget(currency="joules", limit=self.limit * trial_energy_j) if self.currency == EQUIVALENT else self


def parse_budget(text: str) -> Budget:
    """``20trials``, ``0.05kWh``, ``15 g CO2e``, ``2 min 05 s``, …: a number and its unit, as they are typed and as
    tables print them. Raises InputError.
    """
    amounts = re.findall(rf"\s*({_NUMBER})\s*({_UNIT})\s*", text)
    if not re.fullmatch(rf"(\s*{_NUMBER}\s*{_UNIT}\s*)+", text):
        raise InputError(f"the budget {text!r} is not a number with a unit; for example {EXAMPLES}")
    parts = [_amount(text, number, unit.replace(" ", "")) for number, unit in amounts]
    currencies = {currency for currency, _ in parts}
    if len(parts) > 1 and currencies != {"seconds"}:
        raise InputError(f"the budget {text!r} is several amounts; give one, for example {EXAMPLES}")
    return Budget(currency=currencies.pop(), limit=math.fsum(limit for _, limit in parts))


def _amount(text: str, number: str, unit: str) -> tuple[str, float]:
    """The currency, and how much in its base unit."""
    if not unit:
        raise InputError(f"budget {text!r}: the unit is missing; for example {EXAMPLES}")
    unit = unit if unit in UNITS else unit.lower()
    if unit not in UNITS:
        raise InputError(f"budget {text!r}: unknown unit {unit!r}; {nearest(unit, UNITS)}; for example {EXAMPLES}")
    currency, worth = UNITS[unit]
    return currency, float(number) * worth
