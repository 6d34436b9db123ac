"""What the parts of a study would cost, from earlier records or calibrations of the same scenarios."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_kd.formats import MISSING, duration, energy, plural, significant
from tune_kd.planning.known_costs import earlier_store, totals, trial_cost
from tune_kd.terminal.listing import Listing

if TYPE_CHECKING:
    from tune_kd.planning.forecast import Forecast
    from tune_kd.planning.paper_protocol import Protocol
    from tune_kd.planning.plan import Study

WHAT_TELLS = (
    "One trial of that very scenario at a constant τ tells, in the same --store (tune-kd run --policy fixed "
    "--scenario NAME, with the part's settings); another scale does not."
)


@dataclass(frozen=True, kw_only=True, repr=False)
class PartCost:
    """One part: its policies' forecasts, and the source of a trial's cost, None where there is none."""

    study: Study
    rows: Sequence[Forecast]
    source: str | None

    @property
    def trainings(self) -> float:
        """Student trainings of all runs."""
        return math.fsum(row.runs * row.trials for row in self.rows if row.trials is not None)

    @property
    def epochs(self) -> float:
        """Of all student trainings."""
        return self.trainings * self.study.scenario.trial_epochs

    @property
    def costs(self) -> dict[str, float | None]:
        """Of all runs, None where unknown."""
        return totals(self.rows)

    def __repr__(self) -> str:
        from tune_kd.planning.paper_studies import in_words

        return f"PartCost({in_words(self.study)}, {plural(self.trainings, 'training')}: {in_short(self.costs)})"


def part_costs(study: Study, store: str | Path, cache: str | Path | None) -> PartCost:
    """What a part is forecast to need."""
    from tune_kd.planning.forecast import forecast

    cost = trial_cost(study, earlier_store(store, cache), cache)
    return PartCost(study=study, rows=forecast(study, cost), source=None if cost is None else cost.source)


def listing(parts: Sequence[PartCost]) -> Listing:
    """A row a part, and the sum where there are several."""
    from tune_kd.planning.paper_studies import in_words

    rows = [
        (in_words(part.study), _policies(part.study), f"{part.trainings:g}", f"{part.epochs:,.0f}", *_words(part.costs))
        for part in parts
    ]
    if len(parts) > 1:
        trainings = f"{sum(part.trainings for part in parts):g}"
        rows.append(("all", "", trainings, f"{sum(part.epochs for part in parts):,.0f}", *_words(sums(parts))))
    headers = ("part", "policies", "trainings", "epochs in all", "time", "energy", "CO2e")
    return Listing(headers=headers, rows=rows, least=("epochs in all", "policies", "trainings", "CO2e"))


def notes(parts: Sequence[PartCost]) -> list[str]:
    """Where the figures come from, what they leave out, and how to get those that are missing."""
    lines = _sources(parts)
    if unknown := sum(part.source is None for part in parts):
        many = "all parts" if unknown == len(parts) else f"{unknown} of {len(parts)} parts"
        lines.append(f"{MISSING}: of {many} nothing was measured here yet. {WHAT_TELLS}")
    return [*lines, "Teachers are trained once, beside this. Time is that of one trial after another."]


def _sources(parts: Sequence[PartCost]) -> list[str]:
    """Where the figures come from; where that differs, of which parts each is."""
    named: dict[str, list[str]] = {}
    for part in parts:
        if part.source:
            named.setdefault(part.source, []).append(f"{part.study.scenario.name} {part.study.scenario.loss}")
    if len(named) < 2:
        return [f"By the {source}." for source in named]
    return [f"{', '.join(dict.fromkeys(labels))}: by the {source}." for source, labels in named.items()]


def said_of(name: str, done_as: Protocol) -> dict[str, Any]:
    """Which study it is and how it is done, for ``--json``."""
    return {
        "name": name,
        "scale": done_as.scale,
        "changed": list(done_as.changed),
        "papers_protocol": done_as.papers,
    }


def document(name: str, done_as: Protocol, parts: Sequence[PartCost]) -> dict[str, Any]:
    """What ``--plan-only --json`` prints, in base units; null where something is unknown."""
    from tune_kd.planning.paper_studies import in_words

    return {
        **said_of(name, done_as),
        "parts": [
            {
                "part": in_words(part.study),
                "trainings": part.trainings,
                "epochs": part.epochs,
                "policies": [dataclasses.asdict(row) for row in part.rows],
                "all": part.costs,
                "source": part.source,
            }
            for part in parts
        ],
        "all": sums(parts),
    }


def _policies(study: Study) -> str:
    replicates = 1 + max(plan.replicate for plan in study.runs)
    labels = ", ".join(dict.fromkeys(plan.label for plan in study.runs))
    return labels if replicates == 1 else f"{labels} × {replicates}"


def sums(parts: Sequence[PartCost]) -> dict[str, float | None]:
    """The costs of all parts, None where unknown."""
    return totals([row for part in parts for row in part.rows])


def in_short(costs: dict[str, float | None]) -> str:
    """Costs in one line: time, energy, CO2e."""
    return ", ".join(_words(costs))


def _words(costs: dict[str, float | None]) -> tuple[str, str, str]:
    grams = costs["co2e_g"]
    shown = MISSING if grams is None else f"{significant(grams)} g"
    return duration(costs["duration_s"]), energy(costs["energy_j"]), shown
