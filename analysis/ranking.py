"""Which differences between policies are differences: for every pair a verdict, and the ranks that the verdicts allow.

Accuracy is test accuracy of the validation-chosen incumbent, paired by replicate (the same seeds, the same batches).
For every pair: the mean difference with its t interval and one verdict: better, worse, equivalent (TOST within the
scenario's margin) or inconclusive; Holm over the pairs of a comparison, for each of the two questions. Where it was
planned to stop once it is decided, it has the pairs with its reference alone, judged by its looks
(:mod:`analysis.until_decided`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.captions import confidence, pairs_caption, verdicts_caption
from analysis.command import main
from analysis.rendering.table import Table, as_rows, number
from analysis.runs.accounting import CURRENCIES
from analysis.runs.metric import in_percent, metric_of
from analysis.runs.outcomes import notices, with_images
from analysis.runs.planned_looks import planned_looks
from analysis.runs.reading import Records
from analysis.runs.replicates import replicate_matrix
from analysis.statistics.paired import LEVEL, VERDICTS, paired, replicates_needed, verdicts
from analysis.statistics.paired import holm as holm_adjusted
from analysis.statistics.ratios import CostRatio, cost_ratio
from analysis.summary import (
    IMAGES,
    comparison_title,
    energy_header,
    has_images,
    order_in_words,
    rank,
    screening,
    shown_unit,
    tabulate,
)
from analysis.until_decided import look_notes, look_pairs
from tune_kd.formats import MISSING, percentage

# fmt: off
PAIR_COLUMNS = (
    "comparison", "a", "b", "n", "difference", "std", "low", "high", "confidence", "p_difference", "p_difference_holm",
    "p_equivalence", "p_equivalence_holm", "margin", "verdict", "replicates_needed",
    "look", "ratio", "ratio_low", "ratio_high", "ratio_lower", "ratio_upper",
)
# fmt: on
OPPOSITE = {"better": "worse", "worse": "better"}


def pair_table(outcomes: pd.DataFrame, currency: str = "energy") -> pd.DataFrame:
    """One row per comparison and pair of policies (a, b); differences are a − b, fractions of accuracy.

    Columns: comparison, a, b, n (replicates both have), difference, std, low, high (t interval), confidence (of that
    interval, 0.95 but at a look), p_difference, p_difference_holm, p_equivalence, p_equivalence_holm, margin, verdict
    (on a), replicates_needed (for a verdict if the difference is as seen; NaN: more than 1,000, or unknown), look (the
    replicates of the look at which the verdict fell; NaN without one), and the fields of :class:`CostRatio` for the
    cost of a over that of b in ``currency``.
    """
    parts = [_pairs(comparison, currency) for _, comparison in outcomes.groupby("comparison", sort=True)]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(PAIR_COLUMNS))


def claim_holds(pair: Mapping[str, Any], cost: float) -> bool:
    """Whether a row of :func:`pair_table` supports "the same accuracy at ``cost`` (or less) of the other's energy".

    It takes both: equivalence within the margin, and an upper bound of the energy ratio below the claim.
    """
    return bool(pair["verdict"] == "equivalent" and pair["ratio_upper"] < cost)


def rank_sets(pairs: pd.DataFrame, labels: Sequence[str]) -> dict[str, tuple[int, int]]:
    """By policy, the best and the worst rank that the verdicts of one comparison allow.

    The best is one more than the policies that are better than it; the worst leaves behind those that are worse.
    """
    better, worse = dict.fromkeys(labels, 0), dict.fromkeys(labels, 0)
    for a, b, verdict in zip(pairs["a"], pairs["b"], pairs["verdict"], strict=True):
        if verdict in OPPOSITE:
            winner, loser = (a, b) if verdict == "better" else (b, a)
            worse[winner] += 1
            better[loser] += 1
    return {label: (1 + better[label], len(labels) - worse[label]) for label in labels}


def against(pairs: pd.DataFrame, label: str, reference: str) -> dict[str, Any]:
    """The row of ``pairs`` (of one comparison) on ``label`` against ``reference``, turned so that it is about label."""
    for row in as_rows(pairs):
        if (row["a"], row["b"]) == (label, reference):
            return row
        if (row["a"], row["b"]) == (reference, label):
            return _turned(row)
    return {}


def ranking(outcomes: pd.DataFrame, *, policies: Sequence[str] = (), currency: str = "energy") -> pd.DataFrame:
    """:func:`analysis.summary.tabulate` with what the verdicts say.

    More columns: rank_best, rank_worst, and against the reference: verdict, look, difference, low, high, confidence,
    pairs (replicates both have) and the fields of :class:`CostRatio`; missing in the row of the reference itself.
    ``screening`` rows have too few replicates, or pairs, to conclude from, and no look that was planned.
    """
    table = tabulate(outcomes, policies=policies)
    pairs = pair_table(outcomes, currency)
    rows = []
    for comparison, mine in table.groupby("comparison", sort=True):
        here = pairs[pairs["comparison"] == comparison]
        ranks = rank_sets(here, list(mine["label"]))
        for row in as_rows(mine):
            found = against(here, row["label"], row["reference"])
            best, worst = ranks[row["label"]] if row["replicates"] else (None, None)
            row |= {"rank_best": best, "rank_worst": worst, "verdict": found.get("verdict"), "pairs": found.get("n")}
            row["screening"] = bool(screening(pd.DataFrame([row])))
            names = ("difference", "low", "high", "confidence", "look", *CostRatio._fields)
            rows.append(row | {name: found.get(name, np.nan) for name in names})
    return pd.DataFrame(rows) if rows else table


def ranking_tables(
    outcomes: pd.DataFrame, *, policies: Sequence[str] = (), currency: str = "energy", order: str = ""
) -> list[Table]:
    """One table per comparison: accuracy, cost, and the verdict against the reference; at most 80 columns wide.

    Sorted by the least of the currency, or by ``order`` (accuracy, named).
    """
    order = order or currency
    table = rank(ranking(outcomes, policies=policies, currency=currency), order)
    parts = [mine for _, mine in table.groupby("comparison", sort=True)]
    lines = notices(outcomes)
    looks = [look_notes(outcomes[outcomes["comparison"] == mine["comparison"].iloc[0]], currency) for mine in parts]
    return [_format(mine, currency, order, looks[i], lines if i == 0 else []) for i, mine in enumerate(parts)]


def tables(records: Records, currency: str) -> list[Table]:
    """The ranking of each comparison, then its pairs."""
    pairs = pair_table(records.outcomes, currency)
    shown = []
    for table in ranking_tables(records.outcomes, currency=currency):
        here = pairs[pairs["comparison"] == table.data["comparison"].iloc[0]]
        shown += [table, format_pairs(here)] if len(here) else [table]
    return shown


def format_pairs(pairs: pd.DataFrame) -> Table:
    """All pairs of one comparison, in percentage points."""
    body, more = [], ("p differ", "p equal", "n needed")
    over = "the pairs" if pairs["look"].isna().all() else "policies and looks"
    for row in as_rows(pairs):
        p_values = [number(row[name], 2) for name in ("p_difference_holm", "p_equivalence_holm")]
        needed = MISSING if pd.isna(row["replicates_needed"]) else f"{row['replicates_needed']:.0f}"
        cells = [row["a"], row["b"], row["verdict"], str(row["n"]), interval(row), *p_values, needed]
        body.append([*cells, number(row["ratio"])])
    return Table(
        title="Every pair: a − b",
        headers=["a", "b", "verdict on a", "n", f"difference pp [{confidence(pairs)}]", *more, "cost a/b"],
        rows=body,
        data=pairs,
        notes=[f"p values after Holm over {over}; n needed: replicates for a verdict, were the difference as seen"],
        text_columns=3,
        caption=pairs_caption(pairs),
    )


def interval(row: Mapping[str, Any]) -> str:
    """'+0.12 [−0.05, +0.29]' in percentage points."""
    values = [float(row[name]) for name in ("difference", "low", "high")]
    mean, low, high = (MISSING if np.isnan(value) else f"{100 * value:+.2f}".replace("-", "−") for value in values)
    return mean if mean == MISSING else f"{mean} [{low}, {high}]"


def _pairs(comparison: pd.DataFrame, currency: str) -> pd.DataFrame:
    looks = planned_looks(comparison)
    frame = _all_pairs(comparison) if looks is None else look_pairs(comparison, looks)
    if frame.empty:
        return frame
    frame.insert(0, "comparison", int(comparison["comparison"].iloc[0]))
    frame[list(CostRatio._fields)] = _ratios(comparison, frame, currency)
    return frame[list(PAIR_COLUMNS)]


def _all_pairs(comparison: pd.DataFrame) -> pd.DataFrame:
    accuracy = replicate_matrix(comparison, "test_score")
    pairs = list(combinations(range(accuracy.shape[1]), 2))
    if not pairs:
        return pd.DataFrame()
    values, margin = accuracy.to_numpy(), float(comparison["equivalence_margin"].iloc[0])
    first, second = np.array(pairs).T
    result = paired((values[:, first] - values[:, second]).T, margin)
    frame = pd.DataFrame({"a": accuracy.columns[first], "b": accuracy.columns[second], "n": result.n})
    frame["difference"], frame["std"], frame["low"], frame["high"] = result.mean, result.std, result.low, result.high
    for name in ("p_difference", "p_equivalence"):
        frame[name] = getattr(result, name)
        frame[f"{name}_holm"] = holm_adjusted(frame[name].to_numpy())
    frame["confidence"], frame["look"] = 1 - LEVEL, np.nan
    frame["margin"], frame["verdict"] = margin, np.array(VERDICTS)[verdicts(result)]
    frame["replicates_needed"] = [
        replicates_needed(mean, std, margin, tests=len(pairs)) or np.nan
        for mean, std in zip(frame["difference"], frame["std"], strict=True)
    ]
    return frame


def _ratios(comparison: pd.DataFrame, pairs: pd.DataFrame, currency: str) -> list[CostRatio]:
    """The ratio of costs of each pair, over the replicates that both have: the first n of them."""
    scores, costs = (replicate_matrix(comparison, name) for name in ("test_score", CURRENCIES[currency].trial))
    found = []
    for a, b, n in zip(pairs["a"], pairs["b"], pairs["n"], strict=True):
        both = costs.loc[scores[[a, b]].notna().all(axis=1), [a, b]].iloc[:n]
        found.append(cost_ratio(both[a].to_numpy(), both[b].to_numpy()))
    return found


def _turned(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row about (a, b) as one about (b, a)."""
    turned = {**row, "a": row["b"], "b": row["a"], "verdict": OPPOSITE.get(row["verdict"], row["verdict"])}
    turned |= {"difference": -row["difference"], "low": -row["high"], "high": -row["low"]}
    swapped = ("ratio", "ratio_high", "ratio_low", "ratio_upper", "ratio_lower")
    return turned | {name: 1 / row[other] for name, other in zip(CostRatio._fields, swapped, strict=True)}


def _format(rows: pd.DataFrame, currency: str, order: str, looks: Sequence[str], notes: Sequence[str]) -> Table:
    first, (unit, base) = rows.iloc[0], shown_unit(currency, rows[CURRENCIES[currency].trial])
    delta = f"Δ pp [{confidence(rows)}]"
    whole = has_images(rows, currency)
    header = energy_header(rows, unit) if currency == "energy" else unit
    digits = 2 if first["equivalence_margin"] < 0.01 else 1
    body = []
    for row in as_rows(rows):
        verdict = "reference" if row["label"] == row["reference"] else row["verdict"] or MISSING
        accuracy = percentage(row["test_score_mean"], digits)
        cost, ratio = row[CURRENCIES[currency].trial] / base, 1.0 if verdict == "reference" else row["ratio"]
        cells = [str(row["label"]), _ranks(row), str(row["replicates"]), accuracy, interval(row), verdict]
        cells += [_look(row), number(cost)] if looks else [number(cost)]
        cells += [number(row[with_images(CURRENCIES[currency].trial)] / base)] if whole else []
        body.append([*cells, number(ratio)])
    legend = f"{order_in_words(order, metric_of(rows))}; verdict and Δ against {first['reference']}"
    return Table(
        title=comparison_title(first),
        headers=[
            "policy",
            "rank",
            "n",
            in_percent("test", metric_of(rows)),
            delta,
            "verdict",
            *(["look"] if looks else []),
            header,
            *(["+ images"] if whole else []),
            f"× {first['reference']}",
        ],
        rows=body,
        data=rows,
        notes=[legend, *looks, *([IMAGES] if whole else []), *filter(None, [screening(rows)]), *notes],
        caption=verdicts_caption(rows),
        least=("n", header, "rank", f"× {first['reference']}", delta),
    )


def _look(row: Mapping[str, Any]) -> str:
    """The look at which a policy's verdict fell, by its replicates."""
    return MISSING if pd.isna(row["look"]) else f"{row['look']:.0f}"


def _ranks(row: Mapping[str, Any]) -> str:
    if pd.isna(row["rank_best"]):
        return MISSING
    best, worst = int(row["rank_best"]), int(row["rank_worst"])
    return str(best) if best == worst else f"{best}–{worst}"


if __name__ == "__main__":
    raise SystemExit(main(tables, __doc__))
