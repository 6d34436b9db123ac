"""The across-trials half in Ray Tune's terms: searchers that need no model of the objective.

Ray calls ``suggest`` for each new trial; ``Searcher.FINISHED`` means that there are no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ray.tune.search import Searcher


class Sequence(Searcher):
    """Suggests the parameters of an iterable in its order, whatever the trials report."""

    def __init__(self, params: Iterable[dict[str, float]]) -> None:
        super().__init__(metric="val_score", mode="max")
        self._params: Iterator[dict[str, float]] = iter(params)

    def suggest(self, trial_id: str) -> dict[str, float] | str:
        return next(self._params, Searcher.FINISHED)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A fixed sequence learns nothing from its trials."""


class Restarts(Searcher):
    """Suggests the same parameters for ever: every trial is an independent restart with its own seed."""

    def __init__(self, params: dict[str, float]) -> None:
        super().__init__(metric="val_score", mode="max")
        self._params = params

    def suggest(self, trial_id: str) -> dict[str, float]:
        return dict(self._params)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Restarts are independent of one another."""


class Lagged(Searcher):
    """Feeds another searcher results in the order of the suggestions, ``lag`` trials late.

    Suggestion i is made from the results of trials 0 … i − lag and no others, so the same seed gives the same
    suggestions whichever trial ends first, at any concurrency up to ``lag``. A parallel
    search ignores about as many running trials anyway; here their number is fixed.
    """

    def __init__(self, searcher: Searcher, lag: int) -> None:
        super().__init__(metric=searcher.metric, mode=searcher.mode)
        self._searcher, self._lag = searcher, lag
        self._suggested: list[str] = []
        self._fed = 0
        self._ended: dict[str, tuple[dict[str, Any] | None, bool]] = {}

    def suggest(self, trial_id: str) -> dict[str, float] | str | None:
        while self._fed <= len(self._suggested) - self._lag:
            due = self._suggested[self._fed]
            if due not in self._ended:
                return None  # ask again when another trial has ended
            result, error = self._ended.pop(due)
            self._searcher.on_trial_complete(due, result, error)
            self._fed += 1
        suggestion = self._searcher.suggest(trial_id)
        if isinstance(suggestion, dict):
            self._suggested.append(trial_id)
        return suggestion

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._ended[trial_id] = (result, error)
