"""Which verdicts a comparison could give that stops once it is decided, and what they would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tune_kd.api.verdict_forecast import UNKNOWN, VerdictForecast, spread
from tune_kd.formats import energy, significant
from tune_kd.planning.known_costs import COSTS
from tune_kd.planning.looks import Looks
from tune_kd.terminal.listing import Listing

if TYPE_CHECKING:
    import pandas as pd

    from tune_kd.planning.forecast import Forecast
    from tune_kd.planning.plan import Study
    from tune_kd.store import Store


@dataclass(frozen=True, kw_only=True)
class LookForecast(VerdictForecast):
    """What the looks of such a comparison can show; ``replicates`` are those of the last one.

    ``shares`` are those of :func:`analysis.statistics.look_power.shares_at_looks`, and in more columns the expected
    costs of all runs in base units: duration_s, energy_j and co2e_g, None where unknown.
    """

    looks: Looks
    at_most: bool  # may runs cost less than was forecast?

    def document(self) -> dict[str, Any]:
        """For ``--json``: fractions of the metric, shares of policies, and costs in base units."""
        return {**super().document(), "looks": asdict(self.looks)}

    def sentence(self) -> str:
        """What :meth:`listing` is of, or why there is none."""
        if self.sd is None:
            return UNKNOWN
        sizes = ", ".join(map(str, self.looks.replicates))
        return (
            f"Verdicts on {self.policies} policies at looks after {sizes} replicates, and the replicates of a policy "
            f"and the energy of all runs to be expected, by how much the others are truly better than the reference, "
            f"{self.looks.reference}, in test {self.metric}. Margin {100 * self.margin:g} pp; differences spread by "
            f"{significant(100 * self.sd, 2)} pp, {self.source}."
        )

    def listing(self) -> Listing | None:
        """How often each verdict comes, after how many replicates, and at what energy; one row a true difference."""
        plain = super().listing()
        if plain is None or self.shares is None:
            return None
        more = [
            (*(f"{row[name]:.1f}" for name in ("replicates", "reference_replicates")), self._energy(row["energy_j"]))
            for row in self.shares.to_dict("records")
        ]
        return Listing(
            headers=(*plain.headers, "replicates", "of the reference", "energy"),
            rows=[(*cells, *of_row) for cells, of_row in zip(plain.rows, more, strict=True)],
            least=("of the reference", "energy", "replicates"),
        )

    def _energy(self, joules: float | None) -> str:
        return f"≤ {energy(joules)}" if self.at_most and joules is not None else energy(joules)


def look_forecast(study: Study, earlier: Store | None, forecasts: Sequence[Forecast]) -> LookForecast:
    """Of a study with looks, by the spread of :func:`spread`; ``forecasts`` say what a run of each policy costs."""
    from analysis.statistics.look_power import shares_at_looks
    from tune_kd.tasks.catalogue import task_of

    looks, policies, margin = study.looks, len(forecasts), study.scenario.equivalence_margin
    assert looks is not None
    (sd, source), shares = spread(study, earlier), None
    if sd is not None:
        shares = shares_at_looks(looks.replicates, looks.levels, policies, sd=sd, margin=margin)
        shares = shares.assign(**{name: _expected(name, shares, forecasts, looks.reference) for name in COSTS})
    return LookForecast(
        policies=policies,
        replicates=looks.replicates[-1],
        margin=margin,
        metric=task_of(study.scenario).metric,
        sd=sd,
        source=source,
        shares=shares,
        looks=looks,
        at_most=any(row.at_most for row in forecasts),
    )


def _expected(name: str, shares: pd.DataFrame, forecasts: Sequence[Forecast], reference: str) -> pd.Series | None:
    """The cost ``name`` of all runs that are expected, by true difference; None where it is not known of a policy."""
    of_all_runs = {row.label: getattr(row, name) for row in forecasts}
    if None in of_all_runs.values():
        return None
    a_run = {row.label: of_all_runs[row.label] / row.runs for row in forecasts}
    others = math.fsum(cost for label, cost in a_run.items() if label != reference)
    return a_run[reference] * shares["reference_replicates"] + others * shares["replicates"]
