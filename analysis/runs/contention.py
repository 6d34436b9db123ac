"""A note where energies were taken on a busy machine, and on how much of a ratio of costs that may be."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.runs.accounting import as_float, columns
from tune_kd.formats import percentage, plural

BUSY = 0.05
"""The share of its time that a run's trials have waited for a CPU, from which the machine was busy."""
FAR = 0.2
"""By how much more of their time than those of the median run trials have waited in a run that is named."""
WORTH_SAYING = 0.02
"""The least change of a ratio of costs that is noted."""


def waited(by_run: pd.Series, trials: pd.DataFrame) -> pd.DataFrame:
    """Of each run the share of its trials' time in which they waited for a CPU: ``waited``, ``waited_other``.

    The second is the part because of programs that are no trials. NaN where nothing is known of it.
    """
    known = columns(trials, ("metered_s", "cpu_wait_s", "cpu_wait_other_s"))
    sums = pd.DataFrame({name: as_float(known[name]) for name in ("metered_s", "cpu_wait_s", "cpu_wait_other_s")})
    sums = sums.dropna().groupby(trials["run_id"]).sum()
    shares = sums.div(sums["metered_s"].where(sums["metered_s"] > 0), axis=0)
    return pd.DataFrame(
        {"waited": by_run.map(shares["cpu_wait_s"]), "waited_other": by_run.map(shares["cpu_wait_other_s"])}
    )


def contention_notes(outcomes: pd.DataFrame) -> list[str]:
    """A line on runs whose trials waited for CPUs; for each comparison one on ratios of costs, one on far busier runs.

    ``outcomes`` are of :func:`analysis.runs.outcomes.run_outcomes`.
    """
    ranked = outcomes[outcomes["counted"] & outcomes["waited"].notna()]
    busy = ranked[ranked["waited"] > BUSY]
    if busy.empty:
        return []
    mean, other = busy["waited"].mean(), busy["waited_other"].mean()
    lines = [
        f"energies were taken on a busy machine: trials of {len(busy)} of {plural(len(ranked), 'run')} waited for a "
        f"CPU {_whole(mean)} of their time in the mean, {_whole(other)} because of programs that are no trials"
    ]
    for _, comparison in ranked.groupby("comparison", sort=True):
        lines += [*_ratios(comparison), *_far_busier(comparison)]
    return lines


def _ratios(comparison: pd.DataFrame) -> Iterator[str]:
    """The ratio of two policies' costs that is changed most by leaving out the time of waiting."""
    means = comparison.groupby("label", sort=False)[["energy_j", "energy_own_pace_j"]].mean().dropna()
    if len(means) < 2:
        return
    slowed = means["energy_j"] / means["energy_own_pace_j"]
    most, least = str(slowed.idxmax()), str(slowed.idxmin())
    share = slowed[most] / slowed[least] - 1
    if share < WORTH_SAYING:
        return
    hourly, own = (means[name][most] / means[name][least] for name in ("energy_j", "energy_own_pace_j"))
    yield (
        f"up to {_whole(share)} of a ratio of energies may be due to it: {most} takes {hourly:.3g} times the energy of "
        f"{least} by the hour, {own:.3g} times at its own pace; --accounting own-pace ranks by that"
    )


def _far_busier(comparison: pd.DataFrame) -> Iterator[str]:
    median = comparison["waited"].median()
    far = comparison[comparison["waited"] > median + FAR].sort_values("waited", ascending=False, kind="stable")
    if far.empty:
        return
    rows = zip(far["label"], far["replicate"], far["waited"], strict=True)
    named = ", ".join(f"replicate {replicate} of {label} ({_whole(share)})" for label, replicate, share in rows)
    yield f"far busier than the median run, whose trials waited {_whole(median)} of their time: {named}"


def _whole(share: float) -> str:
    """A share as '56 %'."""
    return f"{percentage(share, 0)} %"
