"""One comparison of a store: its records, what was trained, and the verdict on two of its policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from analysis.pages.markdown import setting
from analysis.pages.paper_numbers import Said
from analysis.paper.datasets import scenario_words
from analysis.paper.numbers import DATA_FREE_EPOCHS, EPOCHS, WORDS, paper_row
from analysis.ranking import against, pair_table
from analysis.runs.reading import Records

NOTHING = Said("nothing recorded", ["Nothing is recorded."])
DRAWN, TUNED, ALONE = "stochastic", "grid", "student"


class Compared(NamedTuple):
    """One comparison of a store."""

    outcomes: pd.DataFrame
    runs: pd.DataFrame
    trials: pd.DataFrame
    words: dict[str, Any]  # of :func:`analysis.paper.datasets.scenario_words`

    @property
    def metric(self) -> str:
        """What its scores measure."""
        return str(self.outcomes["metric"].iloc[0])

    @property
    def data(self) -> str:
        """The data set."""
        return str(self.words["dataset"])

    @property
    def title(self) -> str:
        """What was trained."""
        return setting(self.runs).removesuffix(".")

    @property
    def at_full_scale(self) -> bool:
        """Are data, networks, loss, images and epochs those of a row of the paper?"""
        words = {**self.words, "method": DRAWN}
        epochs = DATA_FREE_EPOCHS if words["synthesis"] else EPOCHS.get(self.data)
        whole = pd.isna(words["train_limit"]) and words["epochs"] == epochs
        return whole and paper_row(4, {name: str(words[name]) for name in WORDS}) is not None

    def pair(self, label: str, reference: str, **costs: pd.Series) -> dict[str, Any]:
        """The pair of two policies among all of the comparison, with other ``energy_j`` where given; {} without it."""
        return against(pair_table(self.outcomes.assign(**costs)), label, reference)


def comparisons(records: Records, *labels: str) -> Iterator[Compared]:
    """The comparisons in which all these policies ran."""
    for _, outcomes in records.outcomes.groupby("comparison", sort=True):
        if not set(labels) <= set(outcomes["label"]):
            continue
        runs, trials = (one[one["run_id"].isin(outcomes["run_id"])] for one in (records.runs, records.trials))
        yield Compared(outcomes=outcomes, runs=runs, trials=trials, words=scenario_words(runs.iloc[0]))
