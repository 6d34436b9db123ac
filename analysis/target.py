"""What it costs to reach a target accuracy: success rate, RMST, ERT, PAR-2 and Kaplan–Meier curves.

A run's cost to target is what it had spent when its incumbent's validation accuracy first reached the target. A run
that never does is right-censored at the budget B, which is the same for all policies of a comparison: the budget
where it is in this currency, else the largest that any of its runs spent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.captions import target_caption
from analysis.command import main
from analysis.curves import run_curves
from analysis.rendering.table import Table, as_rows, number
from analysis.runs.accounting import CURRENCIES, Accounting, as_float, columns
from analysis.runs.metric import metric_of
from analysis.runs.outcomes import each_policy
from analysis.runs.reading import Records
from analysis.statistics.censored import bounded_mean_interval, expected_cost, kaplan_meier, par2, rmst, wilson
from analysis.summary import shown_unit
from tune_kd.formats import percentage

OVER = ("completed", "failed")  # not interrupted: what was cut off from outside is not the policy's miss
REFERENCE_TAU = 4.0  # Hinton, Vinyals & Dean 2015 and most of the field after them


@dataclass(frozen=True, kw_only=True)
class Target:
    """A validation accuracy to reach, as a fraction, and where it comes from."""

    accuracy: float
    source: str


def target_of(outcomes: pd.DataFrame, trials: pd.DataFrame, *, tau: float = REFERENCE_TAU) -> Target | None:
    """The target of one comparison: the median validation accuracy of fixed τ over its replicates, less the margin.

    Fixed τ is the policy ``fixed`` at that ``tau`` where it was run, else every trial at it, whichever policy suggested
    it, the first of each replicate to end; trained to the end, not stopped early. None where there is none. Without a
    margin nothing is taken off.
    """
    counted = outcomes[outcomes["counted"]].set_index("run_id")
    trials = columns(trials, ("tau",))
    fixed = trials[trials["run_id"].isin(counted.index) & (as_float(trials["tau"]) == tau)]
    fixed = fixed[fixed["status"] == "completed"].sort_values(["ended_at", "index"], kind="stable")
    own = fixed["run_id"].map(counted["policy"]) == "fixed"
    fixed = fixed[own] if own.any() else fixed
    replicate = fixed["run_id"].map(counted["replicate"])
    accuracy = as_float(fixed["val_score"])[~replicate.duplicated()].dropna()
    if accuracy.empty:
        return None
    margin = outcomes["equivalence_margin"].fillna(0.0).iloc[0]
    source = (
        f"median validation {metric_of(outcomes)} of τ = {tau:g} over {len(accuracy)} replicates − {100 * margin:g} pp"
    )
    return Target(accuracy=float(accuracy.median() - margin), source=source)


def budget_of(outcomes: pd.DataFrame, currency: str) -> float:
    """B of one comparison, in base units; NaN where no cost is known."""
    if _is_budgeted(outcomes, currency):
        return float(outcomes["budget_limit"].iloc[0])
    return float(outcomes.loc[outcomes["counted"], CURRENCIES[currency].trial].max())


def _is_budgeted(outcomes: pd.DataFrame, currency: str) -> bool:
    budgeted = outcomes["budget_currency"] == CURRENCIES[currency].budget
    return bool(budgeted.all() and outcomes["budget_limit"].notna().all())


def times_to_target(curves: pd.DataFrame, accuracy: float, budget: float) -> pd.DataFrame:
    """One row a run of :func:`analysis.curves.run_curves`: comparison, label, run_id, cost, reached, spent.

    ``cost`` is that of the first incumbent with v(e) ≥ ``accuracy`` within ``budget``, else ``budget`` (censored);
    ``spent`` is what the run paid until then or, if it missed, until its end, at most the budget.
    """
    hits = curves[(curves["val_score"] >= accuracy) & (curves["cost"] <= budget)]
    runs = curves.groupby(["comparison", "label", "run_id"], sort=False)["cost"].max().clip(upper=budget).reset_index()
    cost = runs["run_id"].map(hits.groupby("run_id")["cost"].min())
    return runs.assign(reached=cost.notna(), spent=cost.fillna(runs["cost"]), cost=cost.fillna(budget))


def failed_runs(comparison: pd.DataFrame, currency: str, budget: float) -> pd.DataFrame:
    """The runs of one comparison that ended with nothing to show, as misses in the form of :func:`times_to_target`.

    A replicate that failed and was run again is that later run. What a run spent that nobody measured is the budget.
    """
    done = comparison[comparison["counted"]].set_index(["label", "replicate"]).index
    over = comparison["status"].isin(OVER) & ~comparison["counted"] & ~comparison["repeated"]
    empty = comparison[over & ~comparison.set_index(["label", "replicate"]).index.isin(done)]
    spent = empty[CURRENCIES[currency].trial].fillna(budget).clip(upper=budget)
    return empty[["comparison", "label", "run_id"]].assign(cost=budget, reached=False, spent=spent)


def target_table(
    outcomes: pd.DataFrame,
    runs: pd.DataFrame,
    trials: pd.DataFrame,
    *,
    accounting: Accounting | None = None,
    target: float | None = None,
) -> pd.DataFrame:
    """One row per comparison and policy, by RMST within a comparison. ``target`` overrules :func:`target_of`.

    Columns: comparison, label, metric, target, source, budget, n, reached, success, success_low, success_high (Wilson
    95 %), rmst, rmst_low, rmst_high (95 %, :func:`bounded_mean_interval`), ert, par2.
    Costs in base units. A comparison without a target, or a policy none of whose costs is known, has no rows.
    """
    parts = []
    metrics = outcomes.groupby("comparison")["metric"].first()
    for found, budget, times in _all_times(outcomes, runs, trials, accounting or Accounting(), target):
        rows = [{"comparison": key, "label": name, **_row(group, budget)} for key, name, group in each_policy(times)]
        frame = pd.DataFrame(rows).assign(target=found.accuracy, source=found.source, budget=budget)
        frame["metric"] = metrics[frame["comparison"].iloc[0]]
        parts.append(frame.sort_values("rmst", kind="stable"))
    names = ["comparison", "label", "metric", "target", "source", "budget", "n", "reached", "success", "success_low"]
    names += ["success_high", "rmst", "rmst_low", "rmst_high", "ert", "par2"]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def survival_table(
    outcomes: pd.DataFrame, runs: pd.DataFrame, trials: pd.DataFrame, *, accounting: Accounting | None = None
) -> pd.DataFrame:
    """:func:`kaplan_meier` of each comparison and policy: columns comparison, label, target, cost, missing, error.

    Costs in base units; the last row of a policy is at the budget, where what still misses is censored.
    """
    parts = []
    for found, budget, times in _all_times(outcomes, runs, trials, accounting or Accounting(), None):
        for comparison, label, mine in each_policy(times):
            curve = kaplan_meier(mine["cost"].to_numpy(), mine["reached"].to_numpy())
            end = curve.tail(1).assign(cost=budget)
            curve = pd.concat([curve[curve["cost"] < budget], end], ignore_index=True)
            parts.append(curve.assign(comparison=comparison, label=label, target=found.accuracy))
    names = ["comparison", "label", "target", "cost", "missing", "error"]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def format_target(table: pd.DataFrame, currency: str) -> Table:
    """:func:`target_table` of one comparison as text."""
    first, (unit, base) = table.iloc[0], shown_unit(currency, table["budget"])
    body = []
    for row in as_rows(table):
        share, low, high = (percentage(row[name], 0) for name in ("success", "success_low", "success_high"))
        costs = [number(row[name] / base) for name in ("rmst", "rmst_low", "rmst_high", "ert", "par2")]
        body.append(
            [row["label"], str(row["n"]), f"{share} [{low}, {high}]", costs[0], f"[{costs[1]}, {costs[2]}]", *costs[3:]]
        )
    return Table(
        title=f"{currency} to {percentage(first['target'], 2)} % validation {first['metric']}",
        headers=["policy", "n", "reached %", f"RMST {unit}", "95 %", f"ERT {unit}", f"PAR-2 {unit}"],
        rows=body,
        data=table,
        caption=target_caption(table, currency),
        notes=[
            f"least RMST first; target: {first['source']}; censored at {number(first['budget'] / base)} {unit}",
            "RMST: mean cost to the target, a miss counted as the budget (95 %: Gaffke's interval); ERT: all that was "
            "spent over the runs that reached it; PAR-2: as RMST, a miss counted twice",
        ],
    )


def tables(records: Records, currency: str) -> list[Table]:
    """One table per comparison that has a target."""
    table = target_table(records.outcomes, records.runs, records.trials, accounting=Accounting(currency=currency))
    return [format_target(mine, currency) for _, mine in table.groupby("comparison")]


def _all_times(
    outcomes: pd.DataFrame, runs: pd.DataFrame, trials: pd.DataFrame, rule: Accounting, target: float | None
) -> Iterator[tuple[Target, float, pd.DataFrame]]:
    """Of every comparison that has a target and known costs: the target, its B and :func:`times_to_target`."""
    curves = run_curves(outcomes, runs, trials, rule)
    for comparison, mine in outcomes.groupby("comparison", sort=True):
        found = Target(accuracy=target, source="given") if target is not None else target_of(mine, trials)
        here = curves[curves["comparison"] == comparison]
        if found is None or here.empty:
            continue
        # Without a budget in the currency B is the largest total, and under another rule the totals are other ones.
        usual = rule == Accounting(currency=rule.currency) or _is_budgeted(mine, rule.currency)
        budget = budget_of(mine, rule.currency) if usual else here["cost"].max()
        misses = failed_runs(mine, rule.currency, budget)
        yield found, budget, pd.concat([times_to_target(here, found.accuracy, budget), misses], ignore_index=True)


def _row(times: pd.DataFrame, budget: float) -> dict[str, float]:
    cost, reached, n = times["cost"].to_numpy(), times["reached"].to_numpy(), len(times)
    low, high = wilson(int(reached.sum()), n)
    rmst_low, rmst_high = bounded_mean_interval(np.minimum(cost, budget), budget)
    row = {"n": n, "reached": int(reached.sum()), "success": reached.mean(), "success_low": low, "success_high": high}
    row |= {"rmst": rmst(cost, budget), "rmst_low": float(rmst_low), "rmst_high": float(rmst_high)}
    return row | {"ert": expected_cost(times["spent"].to_numpy(), reached), "par2": par2(cost, reached, budget)}


if __name__ == "__main__":
    raise SystemExit(main(tables, __doc__))
