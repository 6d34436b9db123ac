"""What a node's intervals come to: for the node since its meter began, and for every run from its start to its end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tune_kd.meter.attribution import NOBODY, Beside, Interval, Methods, Split, Use, split
from tune_kd.meter.energy import Energy
from tune_kd.meter.pace import AT_REST, Pace, paces


@dataclass(frozen=True, kw_only=True)
class NodeTotals:
    """A node over the time of a run, or since its meter began, as in the store's ``nodes`` table.

    ``other_runs_j`` is the energy of trials of other runs, ``idle_j`` the unreserved idle and RAM energy. What
    conservation misses by rounding is ``residual_j``. ``coverage`` is the share of the time with readings at the asked
    rate and without a gap. ``meters_beside_s`` is the time with trials of other meters on the node; None if they cannot
    be seen.
    """

    total_j: float
    trials_j: float
    other_runs_j: float
    other_j: float
    idle_j: float
    samples: int
    longest_gap_s: float
    coverage: float
    meters_beside_s: float | None

    @property
    def residual_j(self) -> float:
        """Node − (trials + trials of other runs + other + unreserved idle)."""
        return self.total_j - math.fsum((self.trials_j, self.other_runs_j, self.other_j, self.idle_j))

    def row(self) -> dict[str, float | int | None]:
        """As columns of the store's ``nodes`` table."""
        return {
            "energy_total_j": self.total_j,
            "energy_trials_j": self.trials_j,
            "energy_other_runs_j": self.other_runs_j,
            "energy_other_j": self.other_j,
            "energy_idle_j": self.idle_j,
            "energy_residual_j": self.residual_j,
            "samples": self.samples,
            "longest_gap_s": self.longest_gap_s,
            "coverage": self.coverage,
            "meters_beside_s": self.meters_beside_s,
        }


@dataclass
class _Period:
    """Adds up the intervals of a time: the node's total on its own, and what trials, others and nobody paid of it."""

    total_j: float = 0.0
    trials_j: float = 0.0
    other_runs_j: float = 0.0
    other_j: float = 0.0
    idle_j: float = 0.0
    elapsed_s: float = 0.0
    covered_s: float = 0.0
    longest_gap_s: float = 0.0
    beside_s: float | None = 0.0
    samples: int = 0

    def add(self, interval: Interval, paid: Split, own_j: float, *, covered: bool, beside: Beside | None) -> None:
        """Add an interval. ``own_j`` is what those trials paid whose energy the period's ``trials_j`` is."""
        self.total_j += interval.cpu_j + interval.ram_j + sum(gpu.total_j for gpu in (interval.gpus or {}).values())
        self.trials_j += own_j
        self.other_runs_j += math.fsum(energy.total_j or 0.0 for energy in paid.trials.values()) - own_j
        self.other_j += paid.other_j
        self.idle_j += paid.idle_j
        self.samples += 1
        self.elapsed_s += interval.duration_s
        self.covered_s += interval.duration_s if covered else 0.0
        self.longest_gap_s = max(self.longest_gap_s, interval.duration_s)
        if beside is None or self.beside_s is None:
            self.beside_s = None
        elif beside.trials:
            self.beside_s += interval.duration_s

    @property
    def totals(self) -> NodeTotals:
        return NodeTotals(
            total_j=self.total_j,
            trials_j=self.trials_j,
            other_runs_j=self.other_runs_j,
            other_j=self.other_j,
            idle_j=self.idle_j,
            samples=self.samples,
            longest_gap_s=self.longest_gap_s,
            coverage=self.covered_s / self.elapsed_s if self.elapsed_s else 1.0,
            meters_beside_s=self.beside_s,
        )


class NodeLedger:
    """Adds up intervals: for the node since its meter began, and for every run from its start to its end."""

    def __init__(self, *, cpus: int, methods: Methods, period_s: float) -> None:
        self.cpus = cpus
        self.methods = methods
        self.trials: dict[str, Energy] = {}
        self.paces: dict[str, Pace] = {}
        self._longest_sample_s = 2.5 * period_s  # later than that, a reading was missed
        self._node = _Period()
        self._runs: dict[str, _Period] = {}

    def begin(self, run: str) -> None:
        """Add up for a run from the next interval on."""
        self._runs[run] = _Period()

    def end(self, run: str) -> NodeTotals:
        """The node over the time of the run, which ends here. KeyError for a run that has not begun."""
        return self._runs.pop(run).totals

    def preview(
        self, trial: str, interval: Interval, uses: Mapping[str, Use], beside: Beside | None = NOBODY
    ) -> tuple[Energy, Pace]:
        """The trial's energy and pace if the interval were closed now."""
        open_now = split(interval, uses, cpus=self.cpus, methods=self.methods, beside=beside or NOBODY)
        pace, energy = _paces(interval, open_now, uses)[trial], _energies(open_now, uses)[trial]
        return self.trials.get(trial, Energy()) + energy, self.paces.get(trial, AT_REST) + pace

    def close(
        self, interval: Interval, uses: Mapping[str, Use], *, gap: bool = False, beside: Beside | None = NOBODY
    ) -> None:
        """Charge an interval. ``gap`` flags one in which a reading failed; ``beside`` is None if unknown."""
        paid = split(interval, uses, cpus=self.cpus, methods=self.methods, beside=beside or NOBODY)
        for trial, energy in _energies(paid, uses).items():
            self.trials[trial] = self.trials.get(trial, Energy()) + energy
        for trial, pace in _paces(interval, paid, uses).items():
            self.paces[trial] = self.paces.get(trial, AT_REST) + pace
        covered = not gap and interval.duration_s <= self._longest_sample_s
        joules = {trial: energy.total_j or 0.0 for trial, energy in paid.trials.items()}
        self._node.add(interval, paid, math.fsum(joules.values()), covered=covered, beside=beside)
        for run, period in self._runs.items():
            own_j = math.fsum(joules[trial] for trial, use in uses.items() if use.run == run)
            period.add(interval, paid, own_j, covered=covered, beside=beside)

    @property
    def totals(self) -> NodeTotals:
        """The node since the meter began: all trials are its own."""
        return self._node.totals

    @property
    def of_runs(self) -> dict[str, NodeTotals]:
        """The node over the time so far of each run that has begun and not ended."""
        return {run: period.totals for run, period in self._runs.items()}


def _members(uses: Mapping[str, Use]) -> Iterator[tuple[str, str, int]]:
    """Each trial with the process that trains it and how many that trains: those side by side have equal shares."""
    for name, use in uses.items():
        members = use.members or (name,)
        for member in members:
            yield member, name, len(members)


def _energies(paid: Split, uses: Mapping[str, Use]) -> dict[str, Energy]:
    """What each trial pays."""
    return {member: paid.trials[name].scaled(1 / count) for member, name, count in _members(uses)}


def _paces(interval: Interval, paid: Split, uses: Mapping[str, Use]) -> dict[str, Pace]:
    """The pace of each trial: those side by side waited alike, and share CPU seconds and joules."""
    found = paces(interval, uses, paid.trials, paid.by_the_hour)
    return {member: found[name].divided(count) for member, name, count in _members(uses)}
