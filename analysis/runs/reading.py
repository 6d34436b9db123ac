"""The records that every analysis is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analysis.runs.outcomes import run_outcomes
from tune_kd.store.columns import REPORTS
from tune_kd.store.reading.run_list import of_study

if TYPE_CHECKING:
    from tune_kd.store import Store
    from tune_kd.store.reading.under_way import UnderWay

ATTEMPT = ["trial_id", "attempt"]


def read(
    store: Store, *, study_id: str | None = None, epochs: bool = False, under_way: UnderWay | None = None
) -> Records:
    """The records of a store, or of one study of it with all its parts: see ``of_study``, which says its names.

    Its epochs are many, and read only where they are asked for. With ``under_way``, which must have been read before,
    trials that are not sealed yet are among them.
    """
    # In the order in which they were started: where there is no grid, costs are relative to the first policy named.
    runs = store.runs().sort_values("started_at", kind="stable", na_position="last")
    chosen = None
    if study_id is not None:
        runs = of_study(runs, study_id)
        chosen = list(runs["run_id"])
    trials, nodes = store.trials(run_ids=chosen), store.nodes(run_ids=chosen)
    reports = store.reports(run_ids=chosen) if epochs else pd.DataFrame(columns=[column.name for column in REPORTS])
    if under_way is not None:
        trials, reports = with_rows(trials, under_way.trials), with_rows(reports, under_way.reports)
    outcomes = run_outcomes(runs, trials, nodes)
    return Records(runs=runs, trials=trials, reports=reports, nodes=nodes, outcomes=outcomes)


def with_rows(sealed: pd.DataFrame, going: pd.DataFrame) -> pd.DataFrame:
    """The rows of both, those of attempts that have been sealed meanwhile once."""
    known = pd.MultiIndex.from_frame(sealed[ATTEMPT])
    more = going[~pd.MultiIndex.from_frame(going[ATTEMPT]).isin(known)]
    if sealed.empty or more.empty:
        return more if sealed.empty else sealed
    return pd.concat([sealed, more], ignore_index=True)


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
