"""What a comparison is going to cost, and what it can show, before anything is spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tune_kd.config.keywords import from_keywords
from tune_kd.formats import duration, emissions, energy, plural
from tune_kd.planning.forecast import Forecast, TrialCost, forecast
from tune_kd.planning.known_costs import earlier_store, totals, trial_cost
from tune_kd.planning.plan import Study, plan_study
from tune_kd.planning.plan_options import Planning

if TYPE_CHECKING:
    from analysis.statistics.detectable import Detectable
    from tune_kd.store import Store


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What the replicates of a comparison can show, and by which spread."""

    pairs: int
    found: Detectable
    spread: str  # where the standard deviation comes from
    metric: str  # what the differences are in


def resolution(study: Study, earlier: Store | None) -> Resolution | None:
    """By the spread in earlier records of the scenario, else by the paper's; None for one policy alone."""
    from analysis.statistics.detectable import USUAL_SD, detectable
    from tune_kd.tasks.catalogue import task_of

    replicates = 1 + max(run.replicate for run in study.runs)
    pairs = math.comb(len({run.label for run in study.runs}), 2)
    if not pairs:
        return None
    sd = None if earlier is None else _recorded_sd(earlier, study)
    found = detectable(
        replicates,
        sd=USUAL_SD if sd is None else sd,
        margin=study.scenario.equivalence_margin,
        pairs=pairs,
    )
    spread = "as in the paper's scenario" if sd is None or earlier is None else f"as recorded in {earlier.location}"
    return Resolution(pairs=pairs, found=found, spread=spread, metric=task_of(study.scenario).metric)


def _recorded_sd(earlier: Store, study: Study) -> float | None:
    from analysis.runs.outcomes import run_outcomes
    from analysis.statistics.detectable import paired_sd
    from tune_kd.config.scenario import scenario_sha256

    runs = earlier.runs()
    same = runs[runs["scenario_sha256"] == scenario_sha256(study.scenario)]
    if same.empty:
        return None
    return paired_sd(run_outcomes(same, earlier.trials(run_ids=list(same["run_id"]))))


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan:
    """A study that has not been run: what it is expected to cost, and the smallest difference it could show."""

    study: Study
    forecasts: Sequence[Forecast]  # one a policy
    trial: TrialCost | None  # what a trial costs, and how that is known; None: nothing tells it
    resolution: Resolution | None  # None for one policy alone

    @property
    def costs(self) -> dict[str, float | None]:
        """Of all runs: duration_s, energy_j and co2e_g; None where unknown."""
        return totals(self.forecasts)

    def frame(self) -> pd.DataFrame:
        """The forecast of each policy: its runs, the trials of a run, and the costs of all its runs in base units."""
        return pd.DataFrame(map(asdict, self.forecasts))

    def __repr__(self) -> str:
        costs = self.costs
        spent = duration(costs["duration_s"]), energy(costs["energy_j"]), emissions(costs["co2e_g"])
        policies = "policy" if len(self.forecasts) == 1 else "policies"
        what = f"{len(self.forecasts)} {policies}, {plural(len(self.study.runs), 'run')}"
        return f"Plan({what} on {self.study.scenario.name}: {', '.join(spent)})"

    def _repr_html_(self) -> str:
        return str(self.frame().to_html(index=False))


@from_keywords
def plan(
    policies: Sequence[str], *, planning: Planning, store: str | Path = "./runs", cache: str | Path | None = None
) -> Plan:
    """What ``compare`` would cost, and the smallest difference it could show. Runs nothing and writes nothing.

    A trial's cost is that of earlier records in ``store``, else of a calibration in ``cache``.
    """
    study = plan_study(policies=policies, planning=planning)
    earlier = earlier_store(store, cache)
    cost = trial_cost(study, earlier, cache)
    return Plan(study=study, forecasts=forecast(study, cost), trial=cost, resolution=resolution(study, earlier))
