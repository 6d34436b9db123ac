"""The design of a comparison that stops once it is decided, as its runs have it, and how far it has come."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pandas as pd

from analysis.runs.accounting import columns

ENDED = ("completed", "failed")


@dataclass(frozen=True, kw_only=True)
class PlannedLooks:
    """When such a comparison looks, and at what."""

    replicates: tuple[int, ...]  # of each undecided policy at each look, ascending
    levels: tuple[float, ...]  # of each look, whether it is taken or not
    reference: str  # the policy that the others are judged against, by the name in the column policy

    @property
    def level(self) -> float:
        """Of all looks together, for each of the two questions."""
        return math.fsum(self.levels)

    def reference_label(self, comparison: pd.DataFrame) -> str:
        """The label that the reference has among the rows of its comparison; its name where it has no run."""
        labels = comparison.loc[comparison["policy"] == self.reference, "label"]
        return self.reference if labels.empty else str(labels.iloc[0])

    def looked_at(self, comparison: pd.DataFrame) -> int:
        """The replicates of the last look of which all runs have ended; 0 before the first.

        ``comparison``: rows of :func:`analysis.runs.outcomes.run_outcomes`, those that are only planned, too.
        """
        complete = [count for count in self.replicates if self._complete(comparison, count)]
        return max(complete, default=0)

    def _complete(self, comparison: pd.DataFrame, replicates: int) -> bool:
        runs = comparison[comparison["replicate"] < replicates]
        of_reference = runs.loc[runs["policy"] == self.reference, "replicate"]
        return bool(runs["status"].isin(ENDED).all() and of_reference.nunique() == replicates)


def planned_looks(comparison: pd.DataFrame) -> PlannedLooks | None:
    """The design of one comparison; None where it was planned with all of its replicates."""
    texts = columns(comparison, ("looks_json",))["looks_json"].dropna()
    if texts.empty:
        return None
    parsed = json.loads(texts.iloc[0])
    return PlannedLooks(**{**parsed, "replicates": tuple(parsed["replicates"]), "levels": tuple(parsed["levels"])})
