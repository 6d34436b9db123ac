"""Which verdicts a comparison could give, before anything is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tune_kd.formats import percentage, plural, significant
from tune_kd.terminal.listing import Listing

if TYPE_CHECKING:
    import pandas as pd

    from tune_kd.planning.plan import Study
    from tune_kd.store import Store

UNKNOWN = (
    "How far seeds differ in this scenario is not known, so neither is what replicates can show: record two replicates "
    "of two policies here first."
)


@dataclass(frozen=True, kw_only=True)
class VerdictForecast:
    """What the replicates of a comparison of several policies can show. None: not known, or of one replicate."""

    policies: int
    replicates: int
    margin: float  # of equivalence, a fraction of the metric
    metric: str
    sd: float | None  # of paired differences, a fraction of the metric
    source: str | None  # of sd, in words
    shares: pd.DataFrame | None  # of analysis.statistics.power.verdict_shares

    def document(self) -> dict[str, Any]:
        """For ``--json``: fractions of the metric, and shares of pairs."""
        fields = {name: getattr(self, name) for name in ("replicates", "margin", "sd", "source")}
        return {**fields, "verdicts": None if self.shares is None else self.shares.to_dict("records")}

    def sentence(self) -> str:
        """What :meth:`listing` is of, or why there is none."""
        if self.replicates < 2:
            return f"1 replicate cannot show any difference in {self.metric}: give --replicates 2 or more, better 10."
        if self.sd is None:
            return UNKNOWN
        return (
            f"Verdicts of {plural(self.replicates, 'replicate')} of {self.policies} policies, by how much one is truly "
            f"better than the others in test {self.metric}. Margin {100 * self.margin:g} pp; differences spread by "
            f"{significant(100 * self.sd, 2)} pp, {self.source}."
        )

    def listing(self) -> Listing | None:
        """How often each verdict comes, by the true difference; one row a difference."""
        if self.shares is None:
            return None
        rows = []
        for row in self.shares.to_dict("records"):
            shares = row["better"] + row["worse"], row["equivalent"], row["inconclusive"]
            rows.append((f"{100 * row['difference']:.2f} pp", *(f"{percentage(share, 0)} %" for share in shares)))
        return Listing(headers=("true difference", "better or worse", "equivalent", "inconclusive"), rows=rows)


def verdict_forecast(study: Study, earlier: Store | None) -> VerdictForecast | None:
    """By the spread in earlier records of the scenario, else by that of its preset; None for one policy alone."""
    from analysis.statistics.power import verdict_shares
    from tune_kd.tasks.catalogue import task_of

    policies = len({run.label for run in study.runs})
    if policies < 2:
        return None
    replicates, margin = 1 + max(run.replicate for run in study.runs), study.scenario.equivalence_margin
    sd, source = spread(study, earlier)
    return VerdictForecast(
        policies=policies,
        replicates=replicates,
        margin=margin,
        metric=task_of(study.scenario).metric,
        sd=sd,
        source=source,
        shares=None if sd is None or replicates < 2 else verdict_shares(replicates, policies, sd=sd, margin=margin),
    )


def spread(study: Study, earlier: Store | None) -> tuple[float | None, str | None]:
    """The standard deviation of paired differences, and where it comes from."""
    from tune_kd.planning.seed_spread import measured_spread

    recorded = None if earlier is None else _recorded_spread(earlier, study)
    if recorded is not None and earlier is not None:
        return recorded, f"as recorded in {earlier.location}"
    measured = measured_spread(study.scenario)
    return measured, None if measured is None else f"as measured for {study.scenario.name}"


def _recorded_spread(earlier: Store, study: Study) -> float | None:
    from analysis.runs.outcomes import run_outcomes
    from analysis.statistics.power import typical_sd
    from tune_kd.config.scenario import scenario_sha256

    runs = earlier.runs()
    same = runs[runs["scenario_sha256"] == scenario_sha256(study.scenario)]
    if same.empty:
        return None
    return typical_sd(run_outcomes(same, earlier.trials(run_ids=list(same["run_id"]))))
