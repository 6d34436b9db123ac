"""A comparison that stops once it is decided: what its looks say of each policy, which go on, and what it has saved.

The tests are those of :mod:`analysis.statistics.looks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.rendering.table import number
from analysis.runs.accounting import CURRENCIES
from analysis.runs.planned_looks import PlannedLooks, planned_looks
from analysis.runs.replicates import replicate_matrix
from analysis.statistics.looks import UNDECIDED, Decided, Look, decide
from analysis.statistics.paired import INCONCLUSIVE, VERDICTS, paired
from analysis.summary import shown_unit
from tune_kd.formats import plural

P_VALUES = ("p_difference", "p_difference_holm", "p_equivalence", "p_equivalence_holm")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a comparison has come to at its last look."""

    looked_at: int  # replicates; 0 before the first look
    verdicts: dict[str, str]  # by label, of all policies but the reference
    open: tuple[str, ...]  # the names of the policies that the next look needs, the reference among them; () at the end
    next_look: int | None  # its replicates; None where nothing is open or there is no look left


def standing(comparison: pd.DataFrame) -> Standing:
    """Where a comparison with a design stands; its rows are those of :func:`analysis.runs.outcomes.run_outcomes`.

    A policy of which fewer than two replicates can be paired has nothing to be judged by, and gets no more of them.
    """
    looks = planned_looks(comparison)
    if looks is None:
        raise ValueError("a comparison that was planned with all of its replicates has no looks")
    judged, looked_at = look_pairs(comparison, looks), looks.looked_at(comparison)
    left = [count for count in looks.replicates if count > looked_at]
    undecided = judged.loc[(judged["verdict"] == VERDICTS[INCONCLUSIVE]) & (judged["n"] > 1), "a"]
    name_of = dict(zip(comparison["label"], comparison["policy"], strict=True))
    names = [name_of[label] for label in undecided] if left else []
    return Standing(
        looked_at=looked_at,
        verdicts=dict(zip(judged["a"], judged["verdict"], strict=True)),
        open=(*names, looks.reference) if names else (),
        next_look=left[0] if names else None,
    )


def look_pairs(comparison: pd.DataFrame, looks: PlannedLooks) -> pd.DataFrame:
    """A row for each policy (a) against the reference (b), by what their last look says.

    Columns: a, b, n, difference, std, low, high, confidence (of that interval), p_difference, p_difference_holm,
    p_equivalence, p_equivalence_holm (over policies and looks), margin, replicates_needed (NaN), verdict, look (the
    replicates of the look at which it fell, NaN for an open one). The interval is that of the look at which the verdict
    fell, else of the last one taken. Before the first look there are no intervals and no p values.
    """
    scores, reference = replicate_matrix(comparison, "test_score"), looks.reference_label(comparison)
    others, looked_at = [label for label in scores.columns if label != reference], looks.looked_at(comparison)
    whole = scores.reindex(index=range(looked_at or len(scores)), columns=[*others, reference])
    differences = (whole[others].to_numpy() - whole[[reference]].to_numpy()).T
    margin = float(comparison["equivalence_margin"].iloc[0])
    sizes, levels = (looks.replicates, looks.levels) if looked_at else ((), ())
    decided = decide(differences, margin, sizes, levels)
    frame = pd.DataFrame({"a": others, "b": reference, **_shown(differences, decided, levels)})
    frame = frame.assign(margin=margin, replicates_needed=np.nan)
    fell = np.array([*sizes, np.nan])  # UNDECIDED is the last
    return frame.assign(verdict=np.array(VERDICTS)[decided.verdict], look=fell[decided.look])


def _shown(differences: np.ndarray, decided: Decided, levels: Sequence[float]) -> dict[str, np.ndarray]:
    """By column what each policy's look says: the one at which its verdict fell, else the last."""
    policies = np.arange(len(differences))
    if not decided.taken:
        tests, unknown = paired(differences, None), np.full(len(differences), np.nan)
        known = {"n": tests.n, "difference": tests.mean, "std": tests.std}
        return known | dict.fromkeys(("low", "high", "confidence", *P_VALUES), unknown)
    at = np.where(decided.look == UNDECIDED, len(decided.taken) - 1, decided.look)

    def of_look(part: Callable[[Look], np.ndarray]) -> np.ndarray:
        return np.stack([part(look) for look in decided.taken])[at, policies]

    return {
        "n": of_look(lambda look: look.tests.n),
        "difference": of_look(lambda look: look.tests.mean),
        "std": of_look(lambda look: look.tests.std),
        "low": of_look(lambda look: look.tests.low),
        "high": of_look(lambda look: look.tests.high),
        "confidence": 1 - np.asarray(levels)[at],
        "p_difference": of_look(lambda look: look.tests.p_difference),
        "p_difference_holm": of_look(lambda look: look.p_difference),
        "p_equivalence": of_look(lambda look: look.tests.p_equivalence),
        "p_equivalence_holm": of_look(lambda look: look.p_equivalence),
    }


def look_notes(comparison: pd.DataFrame, currency: str) -> list[str]:
    """The design in a line, and what was spent beside what all replicates of all policies would have cost."""
    looks = planned_looks(comparison)
    if looks is None:
        return []
    policies, looked_at = comparison["label"].nunique() - 1, looks.looked_at(comparison)
    taken, sizes = sum(count <= looked_at for count in looks.replicates), ", ".join(map(str, looks.replicates))
    levels = ", ".join(f"{100 * level:.3g}" for level in looks.levels)
    confidences = ", ".join(f"{100 * (1 - level):.4g}" for level in looks.levels)
    return [
        f"{taken} of {len(looks.replicates)} looks, planned at {sizes} replicates, with Holm over "
        f"{plural(policies, 'policy')} at {levels} %: errors over all looks are {100 * looks.level:g} % at most; an "
        f"interval is that of its policy's look, else of the last one taken: {confidences} %",
        _spent(comparison, looks, currency),
    ]


def _spent(comparison: pd.DataFrame, looks: PlannedLooks, currency: str) -> str:
    column, most = CURRENCIES[currency].trial, looks.replicates[-1]
    begun = comparison[comparison["trials"] > 0]
    spent = begun[column].sum(skipna=False)
    fixed = most * comparison.groupby("label")[column].mean().sum(skipna=False)
    unit, worth = shown_unit(currency, pd.Series([spent, fixed]))
    runs = plural(len(begun), "run")
    return (
        f"spent {number(spent / worth)} {unit} in {runs}; {most} replicates of all policies would have spent about "
        f"{number(fixed / worth)} {unit}"
    )
