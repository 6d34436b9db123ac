"""What a comparison is going to cost, and what it can show, before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from tune_kd.api.look_forecast import look_forecast
from tune_kd.api.verdict_forecast import VerdictForecast, verdict_forecast
from tune_kd.config.keywords import from_keywords
from tune_kd.formats import duration, emissions, energy, plural
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.forecast import Forecast, TrialCost, forecast
from tune_kd.planning.known_costs import beside_cost, earlier_store, totals, trial_cost
from tune_kd.planning.looks import Deciding
from tune_kd.planning.plan import Study, plan_study
from tune_kd.planning.plan_options import Planning


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan:
    """A study that has not been run: what it is expected to cost, and which verdicts it could give."""

    study: Study
    forecasts: Sequence[Forecast]  # one a policy
    trial: TrialCost | None  # what a trial costs, and how that is known; None: nothing tells it
    beside: TrialCost | None  # what one costs that is trained side by side with others; None: none will be
    verdicts: VerdictForecast | None  # what its replicates can show; None for one policy alone

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
        runs = plural(sum(row.runs for row in self.forecasts), "run")
        at_most = "at most " if any(row.runs_at_most for row in self.forecasts) else ""
        what = f"{plural(len(self.forecasts), 'policy')}, {at_most}{runs}"
        return f"Plan({what} on {self.study.scenario.name}: {', '.join(spent)})"

    def _repr_html_(self) -> str:
        return str(self.frame().to_html(index=False))


@from_keywords
def plan(
    policies: Sequence[str],
    *,
    planning: Planning,
    deciding: Deciding,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    side_by_side: int | str = "1",
) -> Plan:
    """What ``compare`` would cost, and which verdicts it could give. Runs nothing and writes nothing.

    A trial's cost is that of earlier records in ``store``, else of a calibration in ``cache``. ``side_by_side`` is how
    many trials one process will train at the same time, a number or auto. Of a comparison that adds replicates until it
    is decided the costs are those of the last look, with nothing decided before it.
    """
    several = Execution(side_by_side=side_by_side).students != 1
    study = plan_study(policies=policies, planning=planning, deciding=deciding)
    earlier = earlier_store(store, cache)
    cost = trial_cost(study, earlier, cache)
    beside = beside_cost(study, earlier) if several else None
    rows = forecast(study, cost, beside)
    return Plan(
        study=study,
        forecasts=rows,
        trial=cost,
        beside=beside,
        verdicts=verdict_forecast(study, earlier) if study.looks is None else look_forecast(study, earlier, rows),
    )
