"""The ranking table that ends ``compare`` and ``report``: each policy's score and cost, means over replicates.

It orders and describes; whether a difference is one is the business of :mod:`analysis.ranking`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from analysis.captions import costs_caption
from analysis.rendering.table import Table, as_rows, number, plus_minus
from analysis.runs.accounting import CURRENCIES
from analysis.runs.chosen import chosen, chosen_note
from analysis.runs.comparable import PLACE, SETTING
from analysis.runs.contention import WORTH_SAYING
from analysis.runs.metric import in_percent, metric_of
from analysis.runs.outcomes import with_images
from analysis.runs.planned_looks import planned_looks
from analysis.statistics.ratios import cost_ratio
from tune_kd import errors
from tune_kd.formats import ENERGY_UNITS, MISSING

ORDERS = (*CURRENCIES, "accuracy", "named")
COSTS = tuple(currency.trial for currency in CURRENCIES.values())
REPLICATES_TO_CONCLUDE = 10

PACED = "own pace: {unit} with modelled RAM and idle only of the time in which trials ran undisturbed"
IMAGES = "+ images: that with their synthesis, done once a replicate and in no budget"

# What tables show each currency in, and how many of its base unit one of them is.
SHOWN_UNITS = {
    "energy": ENERGY_UNITS,
    "flops": (("PFLOPs", 1e15), ("TFLOPs", 1e12), ("GFLOPs", 1e9)),
    "co2e": (("g CO2e", 1.0), ("mg CO2e", 1e-3)),
    "time": (("h", 3600.0), ("min", 60.0), ("s", 1.0)),
    "epochs": (("epochs", 1.0),),
}


def tabulate(outcomes: pd.DataFrame, *, policies: Sequence[str] = (), reference: str = "grid") -> pd.DataFrame:
    """One row per comparison and policy, in the order the policies were named; costs are means over replicates.

    ``outcomes``: of :func:`analysis.runs.outcomes.run_outcomes`. ``policies`` gives the order; without it, it is that
    of the rows. Base units (fraction, FLOP, J, g, s), NaN where something was not measured. Columns: comparison and
    what defines it, label, policy, runs (all of them), replicates (counted ones), trials (started, mean per
    replicate), val_score_mean, val_score_std, test_score_mean, test_score_std (of the validation-chosen
    incumbent; sample standard deviation), energy_j, flops_executed, co2e_g, duration_s, epochs (all attempts and what
    they share), the same with the synthesis of images (``…_with_images``), energy_own_pace_j, energy_std (sample
    standard deviation, J), reference and ``…_ratio`` for each currency (to the cost of the reference, geometric mean
    over the replicates both have), failed, lost (attempts, of all runs), diverged (trials, of all runs).
    """
    place = {name: rank for rank, name in enumerate(policies)}
    rows = []
    for _, comparison in outcomes.groupby("comparison", sort=True):
        policy_of = dict(zip(comparison["label"], comparison["policy"], strict=True))
        labels = sorted(policy_of, key=lambda label: place.get(policy_of[label], len(place)))
        looks = planned_looks(comparison)
        base = reference_label(labels, reference) if looks is None else looks.reference_label(comparison)
        rows += [_policy_row(comparison, label, base) for label in labels]
    return pd.DataFrame(rows, columns=list(_policy_row(outcomes, "", "")) if not rows else None)


def reference_label(labels: Sequence[str], reference: str = "grid") -> str:
    """The policy that costs are relative to: ``reference`` where it ran, else the first named."""
    return next((label for label in labels if label.split()[0].partition("/")[0] == reference), labels[0])


def rank(table: pd.DataFrame, order: str = "energy") -> pd.DataFrame:
    """The rows of :func:`tabulate` sorted within each comparison: by the least of a currency, by best test
    ``accuracy``, or as ``named``. What has no value comes last. Raises InputError for another order.
    """
    if order not in ORDERS:
        raise errors.unknown("order", order, ORDERS)
    if order == "named":
        return table
    key = table[CURRENCIES[order].trial] if order in CURRENCIES else -table["test_score_mean"]
    return table.assign(key=key).sort_values(["comparison", "key"], kind="stable").drop(columns="key")


def format_table(table: pd.DataFrame, *, order: str = "energy", notes: Sequence[str] = ()) -> list[Table]:
    """One :class:`Table` per comparison; show it with ``render``, or fitted to a terminal with ``rich_table``."""
    shown: list[Table] = []
    for _, rows in rank(table, order).groupby("comparison", sort=True):
        shown.append(_format_comparison(rows, order, notes if not shown else ()))
    return shown


def mean_ratio(numerator: pd.Series, denominator: pd.Series) -> float:
    """Geometric mean of the ratios of costs over the replicates that both have; both indexed by replicate.

    It is the one of :mod:`analysis.ranking`. NaN without a pair, or where one of them is unknown.
    """
    pairs = pd.concat([numerator, denominator], axis=1, join="inner").to_numpy(dtype=float)
    return cost_ratio(pairs[:, 0], pairs[:, 1]).ratio


def _policy_row(comparison: pd.DataFrame, label: str, base: str) -> dict[str, object]:
    mine = comparison[comparison["label"] == label]
    counted = mine[mine["counted"]]
    first = mine.iloc[0] if len(mine) else None
    setting = {key: None if first is None else first[key] for key in ("comparison", "apart", *SETTING, *PLACE)}
    row: dict[str, object] = {**setting, "label": label, "policy": label if first is None else first["policy"]}
    row |= {"runs": len(mine), "replicates": len(counted), "trials": counted["trials"].mean()}
    # A mean over only those replicates that were measured would compare different things: unknown stays unknown.
    scores, costs = ["val_score", "test_score"], [*COSTS, *map(with_images, COSTS), "energy_own_pace_j"]
    values = counted[[*scores, *costs]].astype("float64")
    means, spreads = values.mean(skipna=False), values[[*scores, "energy_j"]].std(ddof=1, skipna=False)
    for name in scores:
        row |= {f"{name}_mean": means[name], f"{name}_std": spreads[name]}
    row |= {cost: means[cost] for cost in costs} | {"energy_std": spreads["energy_j"]}
    others = comparison[(comparison["label"] == base) & comparison["counted"]]
    mine_by, others_by = counted.set_index("replicate"), others.set_index("replicate")
    row |= {
        f"{name}_ratio": mean_ratio(mine_by[currency.trial], others_by[currency.trial])
        for name, currency in CURRENCIES.items()
    }
    row |= {"reference": base, "chosen": chosen(counted)}
    return row | {name: int(mine[name].sum()) for name in ("failed", "lost", "diverged")}


def _format_comparison(rows: pd.DataFrame, order: str, notes: Sequence[str]) -> Table:
    first = rows.iloc[0]
    shown = {
        currency: shown_unit(currency, rows[CURRENCIES[currency].trial]) for currency in ("flops", "energy", "co2e")
    }
    whole, paced = CURRENCIES[order] if has_images(rows, order) else None, has_own_pace(rows)
    currency = order if order in CURRENCIES else "energy"
    # A margin below 1 pp calls for hundredths, as in the paper's tables.
    digits = 2 if first["equivalence_margin"] < 0.01 else 1
    body = []
    for row in as_rows(rows):
        cells = [str(row["label"]), str(row["replicates"]), _count(row["trials"])]
        cells += [plus_minus(row[f"{part}_score_mean"], row[f"{part}_score_std"], digits) for part in ("val", "test")]
        costs = {name: number(row[CURRENCIES[name].trial] / worth) for name, (_, worth) in shown.items()}
        joules = shown["energy"][1]
        if pd.notna(row["energy_std"]):
            costs["energy"] += f" ±{number(row['energy_std'] / joules, 2)}"
        cells += costs.values()
        cells += [number(row["energy_own_pace_j"] / joules)] if paced else []
        cells += [number(row[with_images(whole.trial)] / shown_unit(order, rows[whole.trial])[1])] if whole else []
        body.append([*cells, number(row[f"{currency}_ratio"])])
    units = {name: unit for name, (unit, _) in shown.items()}
    units["energy"] = energy_header(rows, units["energy"])
    kept = units.get(order, "")
    ratio = f"× {first['reference']}"
    scores = [in_percent(part, metric_of(rows)) for part in ("val", "test")]
    return Table(
        title=comparison_title(first),
        headers=[
            *("policy", "n", "trials", *scores, *units.values()),
            *(["own pace"] if paced else []),
            *(["+ images"] if whole else []),
            ratio,
        ],
        rows=body,
        data=rows,
        notes=[
            _legend(rows, order),
            *([PACED.format(unit=shown["energy"][0])] if paced else []),
            *([IMAGES] if whole else []),
            *chosen_note(rows),
            *_broken(rows),
            *notes,
        ],
        caption=costs_caption(rows),
        least=[name for name in ("trials", units["flops"], units["co2e"], "n", scores[0], ratio) if name != kept],
    )


def shown_unit(currency: str, costs: pd.Series) -> tuple[str, float]:
    """The one unit in which a table shows its costs, the largest that the largest of them reaches, and its worth."""
    units, largest = SHOWN_UNITS[currency], costs.max()
    return next((unit for unit in units if largest >= unit[1]), units[-1])


def has_own_pace(rows: pd.DataFrame) -> bool:
    """Is some policy's energy at its own pace worth a column, for it differs from the other?"""
    return bool((rows["energy_j"] / rows["energy_own_pace_j"] - 1 >= WORTH_SAYING).any())


def energy_header(rows: pd.DataFrame, unit: str) -> str:
    """The header of energies: their unit, and what they are where no counter was read."""
    methods = set(rows["energy_method"].dropna())
    return f"{unit} model" if "model" in methods else f"{unit} part model" if "mixed" in methods else unit


def has_images(rows: pd.DataFrame, currency: str) -> bool:
    """Were images synthesised for some run in ``rows``, at a cost in ``currency``?"""
    cost = CURRENCIES[currency].trial if currency in CURRENCIES else ""
    return with_images(cost) in rows and bool((rows[with_images(cost)] > rows[cost]).any())


def comparison_title(row: pd.Series) -> str:
    """What was compared: 'digits · recipe track · 20 trials · margin 1.5 pp'; 'digits · int8 · …' if quantized.

    Where it was executed follows if the same was executed elsewhere, too.
    """
    parts = [str(row["scenario"])]
    if "quantization" in json.loads(row["recipe"] or "{}"):
        parts.append("int8")
    if isinstance(row["track"], str):
        parts.append(f"{row['track']} track")
    if pd.notna(row["budget_limit"]):
        parts.append(f"{row['budget_limit']:g} {row['budget_currency']}")
    if pd.notna(row["equivalence_margin"]):
        parts.append(f"margin {100 * row['equivalence_margin']:g} pp")
    parts += [str(row["apart"])] if row.get("apart") else []
    return " · ".join(parts)


def _legend(rows: pd.DataFrame, order: str) -> str:
    return f"{order_in_words(order, metric_of(rows))}; {screening(rows) or 'n replicates, mean ± standard deviation'}"


def order_in_words(order: str, metric: str) -> str:
    """How a table is sorted, for its legend."""
    words = {"accuracy": f"best test {metric} first", "named": "in the order named"}
    return words.get(order, f"least {order} first")


def fewest_replicates(rows: pd.DataFrame) -> int:
    """Of any policy in ``rows``; where they say how many it shares with the reference (``pairs``), of those."""
    return int(rows[[name for name in ("replicates", "pairs") if name in rows]].min().min())


def screening(rows: pd.DataFrame) -> str:
    """The stamp of a comparison with too few replicates to conclude from; '' if there are enough, or looks planned."""
    if rows["looks_of"].notna().any():
        return ""
    fewest = fewest_replicates(rows)
    if fewest >= REPLICATES_TO_CONCLUDE:
        return ""
    return f"screening: {fewest} of the {REPLICATES_TO_CONCLUDE} replicates it takes to conclude"


def _broken(rows: pd.DataFrame) -> list[str]:
    """A line on the attempts that failed or were lost, by policy; none where there were none."""
    counts = [(row["label"], row["failed"] + row["lost"]) for row in as_rows(rows)]
    named = ", ".join(f"{label} {count}" for label, count in counts if count)
    return [f"attempts that failed or were lost, their cost included: {named}"] if named else []


def _count(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:g}" if value == round(value) else f"{value:.1f}"
