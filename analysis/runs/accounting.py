"""What a run spent, in any currency and under any accounting rule, replayed from the same records.

The rule is part of a result: charging all trials instead of the fastest has moved winners of benchmarks. The default
is the project's: everything that was spent, failures included, without the test evaluation, without the teacher and
without a pool of synthesised images, which is made once for all policies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from tune_kd import errors

ALONE = "student"
"""The policy without distillation: whoever has only it needs no teacher, and is charged for none."""


@dataclass(frozen=True)
class Currency:
    """A cost in base units, and the columns that hold it.

    They are those of a trial, of what a run's trials share, of the teacher and of the pool of images. ``budget`` is
    what a budget in it is called in ``runs``; ``test`` is what the test evaluation of a trial cost, where that is
    recorded.
    """

    name: str
    unit: str
    budget: str
    trial: str
    shared: str | None = None
    teacher: str | None = None
    pool: str | None = None
    test: str | None = None


CURRENCIES = {
    currency.name: currency
    for currency in (
        Currency(
            "energy", "J", "joules", "energy_j", "shared_energy_j", "teacher_energy_j", "pool_energy_j", "energy_test_j"
        ),
        Currency("flops", "FLOP", "flops", "flops_executed", "shared_flops", "teacher_flops", "pool_flops"),
        Currency("co2e", "g", "gco2e", "co2e_g", "shared_co2e_g", "teacher_co2e_g", "pool_co2e_g"),
        Currency("time", "s", "seconds", "duration_s", "shared_s", "teacher_duration_s", "pool_s"),
        Currency("epochs", "epochs", "epochs", "epochs"),
    )
}


@dataclass(frozen=True, kw_only=True)
class Accounting:
    """What is charged to a run; the teacher's cost is spread over ``teacher_runs`` runs, or left out (None).

    With ``images`` each run is charged the whole synthesis of its images, as if it had been alone.
    """

    currency: str = "energy"
    failed: bool = True
    test: bool = False
    teacher_runs: int | None = None
    images: bool = False

    def __post_init__(self) -> None:
        if self.currency not in CURRENCIES:
            raise errors.unknown("currency", self.currency, CURRENCIES)
        if self.teacher_runs is not None and self.teacher_runs < 1:
            raise errors.InputError(f"the teacher is shared by at least 1 run, got {self.teacher_runs}")


def as_float(values: pd.Series) -> pd.Series:
    """Any numeric column, nullable or object, as float64 with NaN where it was null."""
    return pd.to_numeric(values, errors="coerce").astype("float64")


def columns(frame: pd.DataFrame, names: Iterable[str | None]) -> pd.DataFrame:
    """A copy of ``frame`` that surely has ``names``; what an older store did not record is null."""
    missing = dict.fromkeys(name for name in names if name and name not in frame.columns)
    return frame.reindex(columns=[*frame.columns, *missing])


def attempt_costs(trials: pd.DataFrame, accounting: Accounting) -> pd.Series:
    """What each attempt (row of ``trials``) is charged, in base units; NaN where it trained but was not measured.

    An attempt that died before its first report has nothing on record and costs 0.
    """
    currency = CURRENCIES[accounting.currency]
    trials = columns(trials, (currency.trial, currency.test, "epochs", "status", "test_score"))
    spent = as_float(trials[currency.trial])
    spent = spent.where(spent.notna() | (as_float(trials["epochs"]).fillna(0) > 0), 0.0)
    if accounting.test and currency.test:
        tested = as_float(trials["test_score"]).notna()
        spent = spent + as_float(trials[currency.test]).where(tested, 0.0)
    if not accounting.failed:
        spent = spent.where(~trials["status"].isin(("failed", "lost")), 0.0)
    return spent


def processors_energy(trials: pd.DataFrame) -> pd.DataFrame:
    """A copy of ``trials`` whose ``energy_j`` is that of their processors above idle, which goes by use."""
    parts = columns(trials, ("energy_cpu_j", "energy_gpu_j"))
    return trials.assign(energy_j=as_float(parts["energy_cpu_j"]) + as_float(parts["energy_gpu_j"]).fillna(0.0))


def run_overheads(runs: pd.DataFrame, accounting: Accounting) -> pd.Series:
    """What each run is charged beside its trials, by run_id: what they share, their images, its part of the teacher."""
    currency = CURRENCIES[accounting.currency]
    known = ("shared_flops", "pool_id", "policy", "teacher_id")
    runs = columns(runs, (currency.shared, currency.teacher, currency.pool, *known)).set_index("run_id")
    overhead = pd.Series(0.0, index=runs.index)
    if currency.shared:
        shared = as_float(runs[currency.shared])
        # Nothing shared is 0; shared but not measured is unknown.
        overhead += shared.where(shared.notna() | (as_float(runs["shared_flops"]).fillna(0) > 0), 0.0)
    if accounting.images and currency.pool:
        pool = as_float(runs[currency.pool])
        overhead += pool.where(pool.notna() | runs["pool_id"].notna(), 0.0)
    if accounting.teacher_runs and currency.teacher:
        teacher = as_float(runs[currency.teacher]) / accounting.teacher_runs
        taught = runs["teacher_id"].notna() | teacher.notna()  # a run that asked no teacher may have none to pay for
        overhead += teacher.where(taught & (runs["policy"] != ALONE), 0.0)
    return overhead


def run_costs(runs: pd.DataFrame, trials: pd.DataFrame, accounting: Accounting) -> pd.Series:
    """What each run spent, in base units, by run_id; NaN where a part of it is not known or no trial has started.

    One attempt that was not measured makes the sum unknown: a partial sum would pass for a saving.
    """
    column = CURRENCIES[accounting.currency].trial
    spent, measured = attempt_costs(trials, accounting), as_float(columns(trials, (column,))[column]).notna()
    by_run = pd.DataFrame({"spent": spent, "unknown": spent.isna(), "measured": measured}).groupby(trials["run_id"])
    known = ~by_run["unknown"].any() & by_run["measured"].any()
    return by_run["spent"].sum().where(known).reindex(runs["run_id"]) + run_overheads(runs, accounting)
