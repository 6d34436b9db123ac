"""What one of the paper's studies would train and cost, before anything is spent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.api.study_costs import PartCost, in_short, part_costs, sums
from tune_kd.config.keywords import from_keywords
from tune_kd.formats import plural
from tune_kd.planning.paper_options import PaperPlanning
from tune_kd.planning.paper_protocol import Protocol, planned_protocol
from tune_kd.planning.paper_studies import in_words

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, repr=False)
class StudyPlan:
    """A study of the paper that has not been run: its parts, and what each is expected to cost."""

    name: str
    protocol: Protocol  # at which scale, and what differs from the paper's own protocol
    parts: Sequence[PartCost]

    @property
    def costs(self) -> dict[str, float | None]:
        """Of all runs: duration_s, energy_j and co2e_g; None where unknown."""
        return sums(self.parts)

    def frame(self) -> pd.DataFrame:
        """The forecast of each policy of each part: its runs, the trials of a run, and the costs in base units."""
        import pandas as pd

        return pd.DataFrame(
            {"part": in_words(part.study), **dataclasses.asdict(row)} for part in self.parts for row in part.rows
        )

    def __repr__(self) -> str:
        trainings = sum(part.trainings for part in self.parts)
        what = f"{plural(len(self.parts), 'part')}, {plural(trainings, 'training')}"
        return f"StudyPlan({self.name}, {self.protocol}, {what}: {in_short(self.costs)})"

    def _repr_html_(self) -> str:
        return str(self.frame().to_html(index=False))


@from_keywords
def plan_study(
    name: str, *, paper: PaperPlanning, store: str | Path = "./runs", cache: str | Path | None = None
) -> StudyPlan:
    """What :func:`tune_kd.study` would train with the same keywords, and what it would cost. Runs and writes nothing.

    A trial's cost is that of earlier records in ``store``, else of a calibration in ``cache``. Raises InputError.
    """
    parts = paper.parts(name)
    costs = [part_costs(part, store, cache) for part in parts]
    return StudyPlan(name=name, protocol=planned_protocol(name, paper.scale, parts), parts=costs)
