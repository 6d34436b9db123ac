"""The question answered in a sentence, or the sentence that says why it cannot be yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.ranking import interval, pair_table, ranking
from analysis.rendering.table import as_rows, number
from analysis.runs.metric import metric_of
from analysis.runs.planned_looks import planned_looks
from analysis.summary import REPLICATES_TO_CONCLUDE, fewest_replicates
from analysis.until_decided import standing
from tune_kd.formats import plural


def headline(outcomes: pd.DataFrame, comparison: int, currency: str = "energy") -> str:
    """What one comparison says about scores and costs, in its own margin, and no more than its verdicts allow."""
    mine = outcomes[outcomes["comparison"] == comparison]
    table = ranking(mine, currency=currency)
    known = table[table["replicates"] > 0]
    if known.empty:
        started = int(mine["trials"].sum())
        return f"No result yet: {len(mine)} runs, {started} started trials, but no completed run with a tested trial."
    if len(known) == 1:
        return f"Only {known['label'].iloc[0]} has results: there is nothing to compare it with."
    reference = str(known["reference"].iloc[0])
    if reference not in set(known["label"]):
        return f"{reference}, which the others are measured against, has no result yet."
    rivals = [row for row in as_rows(known) if row["label"] != reference]
    sentence = _sentence(rivals, reference, pair_table(mine, currency), currency)
    stamp = _stamp(fewest_replicates(known)) if planned_looks(mine) is None else _open_stamp(mine)
    return stamp + sentence + _failures(mine)


def _sentence(rivals: list[dict[str, Any]], reference: str, pairs: pd.DataFrame, currency: str) -> str:
    """The cheapest policy that holds the reference's score; else the cheapest that may; else the closest.

    Where a cheaper one may hold it too, both are said: a dearer policy is no answer to what could be saved.
    """
    by_cost = sorted(rivals, key=lambda row: np.nan_to_num(row["ratio"], nan=np.inf))
    holding = next((row for row in by_cost if row["verdict"] in ("equivalent", "better")), None)
    open_yet = next((row for row in by_cost if row["verdict"] == "inconclusive"), None)
    if holding and (open_yet is None or not open_yet["ratio"] < holding["ratio"]):
        return _holds(holding, reference, pairs, currency)
    if open_yet:
        known = f"{_holds(holding, reference, pairs, currency)} " if holding else ""
        return known + _cannot_tell(open_yet, reference, pairs, currency)
    closest = max(rivals, key=lambda row: row["difference"])
    return (
        f"No policy reaches {reference}'s {closest['metric']}: the closest, {closest['label']}, differs by"
        f" {interval(closest)} pp{_at_cost(closest, currency)}."
    )


def _holds(row: dict[str, Any], reference: str, pairs: pd.DataFrame, currency: str) -> str:
    pair = _pair(pairs, row["label"], reference)
    if row["verdict"] == "better":
        found = f"is better than {reference} ({interval(row)} pp, p = {number(pair['p_difference_holm'], 2)})"
    else:
        within = f"equivalent within {100 * pair['margin']:g} pp, p = {number(pair['p_equivalence_holm'], 2)}"
        found = f"reaches {reference}'s {row['metric']} ({within})"
    return f"{row['label']} {found}{_at_cost(row, currency)}."


def _cannot_tell(row: dict[str, Any], reference: str, pairs: pd.DataFrame, currency: str) -> str:
    pair, pairs_seen = _pair(pairs, row["label"], reference), int(row["pairs"])
    if pairs_seen < 2:
        reason = f"{plural(pairs_seen, 'replicate')} cannot show what is chance"
        more = f"{REPLICATES_TO_CONCLUDE} are needed to conclude"
    elif pd.notna(row["looks_of"]):
        return f"{_start(row, reference, currency)}: they differ by {interval(row)} pp after {pairs_seen} replicates."
    else:
        margin = "" if pd.isna(pair["margin"]) else f" against a margin of {100 * pair['margin']:g} pp"
        reason = f"they differ by {interval(row)} pp over {pairs_seen} replicates{margin}"
        needed = pair["replicates_needed"]
        more = "more than 1,000 replicates would be needed if that is the real difference"
        if pd.notna(needed):
            missing = max(int(needed), REPLICATES_TO_CONCLUDE, pairs_seen + 1) - pairs_seen
            more = f"about {missing} more would, if that is the real difference"
        if pair["std"] == 0:
            more = "the replicates do not differ at all, so chance cannot be judged"
    return f"{_start(row, reference, currency)}: {reason}; {more}."


def _start(row: dict[str, Any], reference: str, currency: str) -> str:
    reached = f"{row['label']} reaches {reference}'s {row['metric']}{_at_cost(row, currency)}"
    return f"The data cannot tell yet whether {reached}"


def _at_cost(row: dict[str, Any], currency: str) -> str:
    if np.isnan(row["ratio"]):
        return f" (its {currency} is not known)"
    bounds = "" if np.isnan(row["ratio_low"]) else f" [{number(row['ratio_low'])}, {number(row['ratio_high'])}]"
    return f" at {number(row['ratio'])} of its {currency}{bounds}"


def _failures(outcomes: pd.DataFrame) -> str:
    """What the scores leave out: runs of the comparison that ended with nothing to show."""
    failed = outcomes.loc[outcomes["status"] == "failed", "label"].value_counts(sort=False)
    named = ", ".join(f"{count} of {label}" for label, count in failed.items())
    return f" Runs that failed are in no {metric_of(outcomes)} and no cost here: {named}." if named else ""


def _pair(pairs: pd.DataFrame, label: str, reference: str) -> pd.Series:
    return pairs[pairs["a"].isin((label, reference)) & pairs["b"].isin((label, reference))].iloc[0]


def _open_stamp(comparison: pd.DataFrame) -> str:
    """How far a comparison with planned looks is, while policies are open and looks are left; '' at its end."""
    where = standing(comparison)
    if where.next_look is None:
        return ""
    return f"Not decided yet (after {where.looked_at} replicates, next look at {where.next_look}): "


def _stamp(replicates: int) -> str:
    return (
        ""
        if replicates >= REPLICATES_TO_CONCLUDE
        else f"Screening ({replicates} of {REPLICATES_TO_CONCLUDE} replicates): "
    )
