"""The incumbent of a run: the trial whose student counts. Ranking, curves, export and pruning take it from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

ENDED = ("completed", "stopped")  # a trial that can be incumbent; a stopped one too
_READ = ("run_id", "index", "attempt", "status", "val_score")


def incumbents(trials: pd.DataFrame) -> pd.DataFrame:
    """The incumbent of each run: one row of ``trials`` a run, indexed by run_id.

    The ended trial with the best validation accuracy; of equal ones that with the lowest index. The order in
    which they ended does not matter: it depends on how many ran at a time.
    """
    return _worst_first(trials).drop_duplicates("run_id", keep="last").set_index("run_id")


def standing(trials: pd.DataFrame) -> pd.Series:
    """A number for each row of ``trials``: of two rows of one run the better one has the larger number.

    The incumbent has the largest of its run. Rows that cannot be incumbent have NaN.
    """
    ranked = _worst_first(trials)
    return ranked.assign(standing=range(len(ranked)))["standing"].astype("float64").reindex(trials.index)


def _worst_first(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows that can be incumbent, with val_score as float64."""
    known = trials.reindex(columns=list(dict.fromkeys([*trials.columns, *_READ])))
    accuracy = known["val_score"].astype("float64")
    ended = known.assign(val_score=accuracy)[known["status"].isin(ENDED) & accuracy.notna()]
    return ended.sort_values(["val_score", "index", "attempt"], ascending=[True, False, False], kind="stable")
