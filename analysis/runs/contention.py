"""A note where energies were taken on a machine that others kept busy, and on how much of a ratio that may be."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.runs.accounting import as_float, columns
from tune_kd.formats import percentage, plural

BUSY = 0.05
"""The share of its time that a run's trials have waited for programs that are no trials, from which it was busy."""
FAR = 0.2
"""By how much more of their time than those of the median run trials have so waited in a run that is named."""
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
    """A line on runs whose trials waited for strangers; for each comparison of such runs one on ratios of costs, one on
    far busier runs.

    ``outcomes`` are of :func:`analysis.runs.outcomes.run_outcomes`. That trials of a study wait for each other is no
    matter of the machine: they do at any --max-concurrent above one, and on an idle machine, too.
    """
    ranked = outcomes[outcomes["counted"] & outcomes["waited_other"].notna()]
    busy = ranked[ranked["waited_other"] > BUSY]
    if busy.empty:
        return []
    other, whole = busy["waited_other"].mean(), busy["waited"].mean()
    lines = [
        f"energies were taken on a busy machine: trials of {len(busy)} of {plural(len(ranked), 'run')} waited for a "
        f"CPU {_whole(other)} of their time in the mean because of programs that are no trials, {_whole(whole)} in all"
    ]
    for _, comparison in ranked[ranked["comparison"].isin(busy["comparison"])].groupby("comparison", sort=True):
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
    median = comparison["waited_other"].median()
    far = comparison[comparison["waited_other"] > median + FAR]
    if far.empty:
        return
    far = far.sort_values("waited_other", ascending=False, kind="stable")
    rows = zip(far["label"], far["replicate"], far["waited_other"], strict=True)
    named = ", ".join(f"replicate {replicate} of {label} ({_whole(share)})" for label, replicate, share in rows)
    yield f"far busier than the median run, whose trials so waited {_whole(median)} of their time: {named}"


def _whole(share: float) -> str:
    """A share as '56 %'."""
    return f"{percentage(share, 0)} %"
