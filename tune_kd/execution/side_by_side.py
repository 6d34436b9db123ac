"""How many trials of a run are trained side by side in one job."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tune_kd.planning.plan import RunPlan
from tune_kd.planning.side_by_side import MOST, alone_because, may_be_several
from tune_kd.training.stackable import TRIED, Stacking


@dataclass(frozen=True, kw_only=True)
class JobSize:
    """What was asked for (None: as many as pays), and what trying it on a worker has found (None: it was not tried)."""

    asked: int | None
    stacking: Stacking | None

    def most(self, plan: RunPlan, room: int) -> int:
        """How many trials of a run go into one job at the most, where ``room`` jobs may run at a time."""
        if self.stacking is None or self.stacking.refused or not may_be_several(plan):
            return 1
        if self.asked is not None:
            return self.asked
        if not self.stacking.pays:
            return 1
        trials = plan.trials_at_most
        return MOST if trials is None else min(MOST, math.ceil(trials / max(1, room)))

    def notes(self, plans: Sequence[RunPlan]) -> list[str]:
        """What is notable: what was found, and who is trained alone all the same; a line each."""
        if self.asked == 1:
            return []
        alone = {reason: None for plan in plans if plan.trials_at_most != 1 and (reason := alone_because(plan))}
        lines = [f"not side by side: {reason}" for reason in alone]
        if self.stacking is None:
            return lines
        student = plans[0].scenario.student
        if self.stacking.refused:
            return [*lines, f"not side by side: {student} cannot be stacked: {self.stacking.refused}"]
        if self.asked is None:
            verdict = "pays" if self.stacking.pays else "does not pay, trials are trained one at a time"
            lines.append(f"{TRIED} of {student} as one are {self.stacking.gain:.2g} times as fast here: it {verdict}")
        return lines
