"""Records with the energy at the trials' own pace in place of the energy by the hour.

Where RAM and idle power are modelled, they are charged by the hour for what a trial reserves. A trial that a stranger
slows down then costs more for the same work. At its own pace it is charged for the time undisturbed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.runs.accounting import as_float, columns
from tune_kd.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from analysis.runs.reading import Records

OWN_PACE = "own-pace"
"""What ``accounting`` is of such ``runs``, a column that the store has not."""
MODELLED = ("energy_ram_j", "energy_idle_j")  # what goes by the hour


def at_own_pace(records: Records) -> Records:
    """The records with every ``energy_j`` at its own pace, and CO2e and components in proportion.

    What has none, of an older version, has no energy then. Raises InputError where that is all of it.
    """
    from analysis.runs.outcomes import run_outcomes

    if not columns(records.trials, ("energy_own_pace_j",))["energy_own_pace_j"].notna().any():
        raise InputError(
            "no trial here has an energy at its own pace: --accounting by-the-hour has what older versions recorded"
        )
    runs, trials, reports = own_pace_runs(records.runs), own_pace_spent(records.trials), own_pace_spent(records.reports)
    outcomes = run_outcomes(runs, trials, records.nodes)
    return replace(records, runs=runs, trials=trials, reports=reports, outcomes=outcomes)


def own_pace_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """A copy of ``runs`` with the energies of what trials share, and of the teacher, at their own pace."""
    runs = runs.assign(accounting=OWN_PACE)
    for prefix in ("shared_", "pool_", "teacher_"):
        _restate(runs, prefix)
    return runs


def own_pace_spent(spent: pd.DataFrame) -> pd.DataFrame:
    """A copy of ``trials`` or ``reports`` with ``energy_j`` at its own pace."""
    spent = spent.copy()
    before_j = _restate(spent, "")
    _shrink_modelled(spent, before_j)
    return spent


def _restate(frame: pd.DataFrame, prefix: str) -> pd.Series:
    """Put the energy at its own pace in the place of the other, which is returned."""
    energy, grams = f"{prefix}energy_j", f"{prefix}co2e_g"
    known = columns(frame, (energy, grams, f"{prefix}energy_own_pace_j"))
    by_the_hour_j, own_j = as_float(known[energy]), as_float(known[f"{prefix}energy_own_pace_j"])
    frame[grams] = as_float(known[grams]) * (own_j / by_the_hour_j).where(by_the_hour_j > 0, 1.0)
    frame[energy] = own_j
    return by_the_hour_j


def _shrink_modelled(frame: pd.DataFrame, before_j: pd.Series) -> None:
    """Take off RAM and idle, in proportion, what the whole has less, so that the components still add up to it."""
    known = columns(frame, MODELLED)
    whole = known[list(MODELLED)].apply(as_float).sum(axis=1)
    kept = 1 - ((before_j - frame["energy_j"]) / whole).where(whole > 0, 0.0)
    for name in MODELLED:
        frame[name] = as_float(known[name]) * kept
