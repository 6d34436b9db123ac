"""What a trial is known to cost, from earlier records or from a calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.storage.cache import cache_at

if TYPE_CHECKING:
    from tune_kd.planning.forecast import Forecast, TrialCost
    from tune_kd.planning.plan import Study
    from tune_kd.store import Store


COSTS = ("duration_s", "energy_j", "co2e_g")


def earlier_store(where: str | Path, cache: str | Path | None) -> Store | None:
    """The store, or None where there is no such folder yet. Raises InputError for a folder that is none."""
    if "://" not in str(where) and not Path(where).expanduser().exists():
        return None
    from tune_kd.store import open_store

    return open_store(where, cache=cache_at(cache).folder)


def trial_cost(study: Study, earlier: Store | None, cache: str | Path | None) -> TrialCost | None:
    """What a trial costs: by the records of the scenario, else by its calibration on this machine, else unknown."""
    from tune_kd.planning import calibration, forecast
    from tune_kd.planning.execution_options import Execution

    recorded = None if earlier is None else forecast.trial_cost(earlier, study.scenario)
    if recorded is not None:
        return recorded
    execution = Execution(cache=cache)
    kept = calibration.kept(study, execution)
    return None if kept is None else kept.cost(execution)


def beside_cost(study: Study, earlier: Store | None) -> TrialCost:
    """What a trial costs that is trained side by side with others, by the records of the scenario; else unmeasured."""
    from tune_kd.planning import forecast

    recorded = None if earlier is None else forecast.trial_cost(earlier, study.scenario, several=True)
    return recorded or forecast.unmeasured(study.scenario)


def totals(rows: Sequence[Forecast]) -> dict[str, float | None]:
    """The sum of each cost over all rows; None where one of them is unknown."""
    sums: dict[str, float | None] = {}
    for name in COSTS:
        each = [getattr(row, name) for row in rows]
        sums[name] = None if None in each else math.fsum(each)
    return sums
