"""The records that every analysis is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analysis.runs.outcomes import run_outcomes
from tune_kd.store.columns import REPORTS
from tune_kd.store.ids import base_id

if TYPE_CHECKING:
    from tune_kd.store import Store


def read(store: Store, *, study_id: str | None = None, epochs: bool = False) -> Records:
    """The records of a store, or of one study of it with all its parts.

    Its epochs are many, and read only where they are asked for.
    """
    # In the order in which they were started: where there is no grid, costs are relative to the first policy named.
    runs = store.runs().sort_values("started_at", kind="stable", na_position="last")
    trials, nodes = store.trials(), store.nodes()
    reports = store.reports() if epochs else pd.DataFrame(columns=[column.name for column in REPORTS])
    if study_id is not None:
        studies = runs["study_id"].fillna("")
        runs = runs[(studies == study_id) | (studies.map(base_id) == study_id)]
        trials, nodes, reports = (frame[frame["run_id"].isin(runs["run_id"])] for frame in (trials, nodes, reports))
    return Records(runs=runs, trials=trials, reports=reports, nodes=nodes, outcomes=run_outcomes(runs, trials, nodes))


@dataclass(frozen=True, kw_only=True)
class Records:
    """The tables of a store, and what each of its runs came to (:func:`analysis.runs.outcomes.run_outcomes`).

    ``labels`` are those of all its policies, in their order.
    """

    runs: pd.DataFrame
    trials: pd.DataFrame
    reports: pd.DataFrame
    nodes: pd.DataFrame
    outcomes: pd.DataFrame
    labels: Sequence[str] = ()

    def __post_init__(self) -> None:
        # A part of the records keeps them, so that a policy looks the same in every comparison.
        object.__setattr__(self, "labels", tuple(self.labels or self.outcomes["label"].unique()))
