"""The same records at a smaller budget, in any currency: what each run would have had to show when it was spent.

A replay cuts, it does not simulate: epochs are taken in the order in which they were reported, until the budget is
spent, and nothing after that counts. A trial that was still running then is charged for its epochs and enters no
contest, as nobody read its test set at that epoch. Policies that adapt would have seen other results, or the same
ones in another order: their decisions do not replay, and they are marked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd

from analysis.rendering.table import Table
from analysis.runs import accounting
from analysis.runs.accounting import Accounting, as_float, columns, run_overheads
from analysis.runs.outcomes import notices, run_outcomes
from analysis.summary import format_table, tabulate
from tune_kd import errors

KEY = ["run_id", "trial_id", "attempt"]
CUT = "cut"  # the status of an attempt that was still running when the budget was spent
# A budget's currency, its column in `trials` and `reports`, and what analysis calls it.
SPENT = {one.budget: (one.trial, one.name) for one in accounting.CURRENCIES.values() if one.name != "epochs"}
CURRENCIES = ("trials", "epochs", *SPENT)
# The policies that adapt, for records of before they said so themselves.
ADAPTED_BEFORE = ("asha", "cost-aware", "gp", "hyperband-tpe", "tpe")
RESULTS = ("val_score", "val_loss", "test_score", "checkpoint_epoch", "energy_test_j")


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The tables ``runs`` and ``trials`` as they would be at the budget, for every function that reads them."""

    runs: pd.DataFrame
    trials: pd.DataFrame
    unmeasured: tuple[str, ...]  # runs of which it is not known what they spent: without trials here
    short: tuple[str, ...]  # runs that ended before the budget was spent: nothing of them was cut


def replay(runs: pd.DataFrame, trials: pd.DataFrame, reports: pd.DataFrame, *, currency: str, limit: float) -> Replay:
    """Every run at ``limit`` of ``currency``, in base units: trials, epochs, flops, joules, gco2e or seconds.

    In ``trials``, the first so many of them to their ends. Raises InputError.
    """
    if currency not in CURRENCIES:
        raise errors.unknown("currency of a budget", currency, CURRENCIES)
    if not limit > 0:
        raise errors.InputError(f"the budget to replay must be > 0 {currency}, got {limit:g}")
    changed = runs.assign(budget_currency=currency, budget_limit=float(limit))
    if currency == "trials":
        kept = trials[trials["index"] < limit]
        started = trials.groupby("run_id")["trial_id"].nunique()
        short = started.index[started < limit]
        return Replay(runs=changed, trials=kept, unmeasured=(), short=tuple(short))
    spent = _moments(runs, trials, reports, currency)
    unknown = spent.groupby("run_id")["total"].transform(lambda total: total.isna().any())
    unmeasured, known = spent.loc[unknown, "run_id"].unique(), spent[~unknown]
    # What sums of floats lose must not cost the epoch that spends a budget exactly.
    within = known[known["before"].where(known["end"], known["total"]) <= limit * (1 + 1e-12)]
    total = known.groupby("run_id")["total"].max()
    return Replay(
        runs=changed,
        trials=_as_of(trials, reports, within),
        unmeasured=tuple(unmeasured),
        short=tuple(total.index[total < limit]),
    )


def notes(done: Replay) -> list[str]:
    """What a reader of a replay has to know."""
    lines = ["replayed from the records: what was reported after the budget was spent does not count"]
    policies = done.runs["policy"].astype(str)
    marked = sorted(set(policies[[_adapts(*row) for row in zip(policies, done.runs["policy_json"], strict=True)]]))
    if marked:
        lines.append(f"adapting to results, they might have decided otherwise under this budget: {', '.join(marked)}")
    for run_ids, what in (
        (done.short, "ended before this budget was spent"),
        (done.unmeasured, "left out, as nothing measured what they spent"),
    ):
        if run_ids:
            named = sorted(set(policies[done.runs["run_id"].isin(run_ids)]))
            lines.append(f"{len(run_ids)} of {len(done.runs)} runs {what}: {', '.join(named)}")
    return lines


def _adapts(label: str, policy_json: object) -> bool:
    """Do the results of its trials decide what the policy tries, or stops, next?"""
    record = json.loads(policy_json) if isinstance(policy_json, str) else {}
    return bool(record.get("adapts", label.partition(":")[0] in ADAPTED_BEFORE))


def tables(done: Replay, nodes: pd.DataFrame | None = None, *, order: str = "energy") -> list[Table]:
    """The ranking tables of :mod:`analysis.summary` at the replayed budget."""
    outcomes = run_outcomes(done.runs, done.trials, nodes)
    return format_table(tabulate(outcomes), order=order, notes=[*notes(done), *notices(outcomes)])


def _moments(runs: pd.DataFrame, trials: pd.DataFrame, reports: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Every report and every end of an attempt, in order of time, and what its run had spent ``before`` and in
    ``total`` with it. What an attempt used after its last report is charged at its end.
    """
    column, name = SPENT.get(currency, (None, None))
    told = reports[[*KEY, "at", "epoch"]].assign(end=False)
    ends = trials[KEY].assign(at=trials["ended_at"], end=True)
    if column is None:
        told["cost"] = told.sort_values("epoch").groupby(KEY).cumcount() + 1.0
        ends["cost"] = as_float(trials["epochs"])
    else:
        told["cost"], ends["cost"] = as_float(reports[column]), as_float(trials[column])
        untrained = as_float(trials["epochs"]).fillna(0) == 0
        ends["cost"] = ends["cost"].where(ends["cost"].notna() | ~untrained, 0.0)
    # Clocks of two machines differ: an end never comes before the attempt's own last report.
    last = told.groupby(KEY)["at"].max().reindex(pd.MultiIndex.from_frame(ends[KEY]))
    ends["at"] = ends["at"].where(~(last.to_numpy() > ends["at"].to_numpy()), last.to_numpy())
    moments = pd.concat([told, ends], ignore_index=True).sort_values(["run_id", "at", "end", "epoch"], kind="stable")
    step = moments["cost"] - moments.groupby(KEY)["cost"].shift().fillna(0.0)
    shared = run_overheads(runs, Accounting(currency=name)) if name else pd.Series(0.0, index=runs["run_id"])
    spent = step.groupby(moments["run_id"]).cumsum() + shared.reindex(moments["run_id"]).to_numpy()
    return moments.assign(total=spent.where(moments["cost"].notna()), before=spent - step)


def _as_of(trials: pd.DataFrame, reports: pd.DataFrame, within: pd.DataFrame) -> pd.DataFrame:
    """The attempts that ended within the budget as they are, and those under way with what they had spent by then."""
    place = pd.MultiIndex.from_frame(trials[KEY])
    ended = place.isin(pd.MultiIndex.from_frame(within.loc[within["end"], KEY]))
    seen = within[~within["end"]].groupby(KEY)["epoch"].agg(["max", "count"])
    cut = trials[~ended & place.isin(seen.index)].copy()
    if len(cut):
        keys = pd.MultiIndex.from_frame(cut[KEY])
        counted = seen.reindex(keys)
        last = reports.set_index([*KEY, "epoch"]).reindex(
            pd.MultiIndex.from_arrays([*(keys.get_level_values(level) for level in KEY), counted["max"].astype(int)])
        )
        for name in (name for name in reports.columns if name in cut.columns and _is_cost(name)):
            cut[name] = as_float(last[name]).to_numpy()
        cut["epochs"] = counted["count"].to_numpy()
        cut["status"] = CUT
        cut = columns(cut, RESULTS).assign(**dict.fromkeys(RESULTS, float("nan")))
    kept = trials[ended]
    return pd.concat([kept, cut[trials.columns]]).sort_index() if len(cut) else kept


def _is_cost(name: str) -> bool:
    return (name.startswith("flops_") and not name.endswith("_ops")) or name.endswith(("_j", "_s", "co2e_g"))
