"""Early stopping across trials in Ray Tune's terms.

Ray calls ``on_trial_result`` at every report and stops a trial on its answer. A trial is identified by the ``index`` in
its ``config``, which it gets again in a resumed run.
"""

from __future__ import annotations

import random
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler

# Ray requires a last rung. No trial reaches it: each ends at its recipe's last epoch.
LAST_RUNG = 2**31


def successive_halving(grace: int, reduction: int) -> AsyncHyperBandScheduler:
    """Asynchronous successive halving by validation accuracy: rungs after ``grace``·``reduction``^k epochs."""
    return AsyncHyperBandScheduler(
        time_attr="epoch",
        metric="val_score",
        mode="max",
        grace_period=grace,
        reduction_factor=reduction,
        max_t=max(LAST_RUNG, grace),
    )


class Brackets(FIFOScheduler):
    """Asynchronous Hyperband (Li et al. 2018): ``count`` successive halvings, each ``reduction`` times as patient.

    Ray's own draws a trial's bracket from NumPy's global generator, which no resumed run could repeat. Here it is
    drawn by the trial's index, with chances that fall as the patience grows: brackets cost about the same.
    """

    def __init__(self, grace: int, reduction: int, count: int) -> None:
        super().__init__()
        self.brackets = [successive_halving(grace * reduction**bracket, reduction) for bracket in range(count)]
        self._chances = [float(reduction) ** -bracket for bracket in range(count)]

    def of(self, trial: Any) -> AsyncHyperBandScheduler:
        """The bracket of a trial."""
        drawn = random.Random(f"bracket of trial {trial.config['index']}")
        return drawn.choices(self.brackets, self._chances)[0]

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self.of(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return self.of(trial).on_trial_result(tune_controller, trial, result)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self.of(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self.of(trial).on_trial_remove(tune_controller, trial)
