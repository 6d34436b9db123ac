"""How the ranking changes with the accounting rule: the same records, replayed under every rule and currency.

Policies are ranked by RMST to the target (method: :mod:`analysis.target`); a winner that only one rule gives is a
result about that rule.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.captions import sensitivity_caption
from analysis.command import main
from analysis.rendering.table import Table, as_rows, number
from analysis.runs.accounting import CURRENCIES, Accounting
from analysis.runs.reading import Records
from analysis.target import target_table
from tune_kd.formats import MISSING

AMORTISED_OVER = 10  # runs that share a teacher, for the rule between leaving it out and charging it in full


def rules(currency: str, *, synthesised: bool = False) -> dict[str, Accounting]:
    """By name, the accounting rules that ``currency`` can be replayed under; the first is the project's own.

    Where images were ``synthesised``, one of them charges their synthesis.
    """
    known, named = CURRENCIES[currency], {"as recorded": Accounting(currency=currency)}
    if known.test:
        named["test evaluation charged"] = Accounting(currency=currency, test=True)
    named["failed attempts free"] = Accounting(currency=currency, failed=False)
    if known.teacher:
        named[f"teacher over {AMORTISED_OVER} runs"] = Accounting(currency=currency, teacher_runs=AMORTISED_OVER)
        named["teacher in full"] = Accounting(currency=currency, teacher_runs=1)
    if known.pool and synthesised:
        named["synthesis of images charged"] = Accounting(currency=currency, images=True)
    return named


def sensitivity_table(
    outcomes: pd.DataFrame, runs: pd.DataFrame, trials: pd.DataFrame, *, target: float | None = None
) -> pd.DataFrame:
    """One row per comparison, currency, rule and policy: comparison, currency, rule, label, n, rmst, rank, ratio,
    changed.

    ``ratio`` is to the least RMST of the rule; ``changed`` says that the policy's rank differs from its rank as
    recorded in joules. What cannot be computed (a cost never measured, no target) has no rows.
    """
    parts = []
    synthesised = "pool_id" in runs and bool(runs["pool_id"].notna().any())
    for currency in CURRENCIES:
        for name, rule in rules(currency, synthesised=synthesised).items():
            table = target_table(outcomes, runs, trials, accounting=rule, target=target)
            parts.append(table[["comparison", "label", "n", "rmst"]].assign(currency=currency, rule=name))
    names = ["comparison", "currency", "rule", "label", "n", "rmst", "rank", "ratio", "changed"]
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=names)
    frame = pd.concat(parts, ignore_index=True)
    by_rule = frame.groupby(["comparison", "currency", "rule"])["rmst"]
    frame["rank"], frame["ratio"] = by_rule.rank(method="min").astype(int), frame["rmst"] / by_rule.transform("min")
    base = frame[(frame["currency"] == "energy") & (frame["rule"] == "as recorded")]
    usual = pd.Series(base["rank"].to_numpy(), index=pd.MultiIndex.from_frame(base[["comparison", "label"]]))
    before = usual.reindex(pd.MultiIndex.from_frame(frame[["comparison", "label"]])).to_numpy()
    frame["changed"] = (frame["rank"].to_numpy() != before) & ~pd.isna(before)
    return frame[names]


def format_sensitivity(table: pd.DataFrame) -> Table:
    """One comparison: a row per rule, with the ranks of the policies in it."""
    labels, body = list(table["label"].unique()), []
    for (currency, rule), mine in table.groupby(["currency", "rule"], sort=False):
        by_label = {row["label"]: row for row in as_rows(mine)}
        winners = ", ".join(mine.loc[mine["rank"] == 1, "label"])
        cells = [_cell(by_label.get(label)) for label in labels]
        body.append([str(currency), str(rule), winners, *cells])
    changed = int(table[table["changed"]].groupby(["currency", "rule"]).ngroups)
    return Table(
        title="Rank by RMST to the target, by currency and accounting rule (cost as a multiple of the least)",
        headers=["currency", "rule", "least", *labels],
        rows=body,
        data=table,
        notes=[f"in {changed} of {len(body)} rules some rank differs from that by joules as recorded (marked *)"],
        text_columns=3,
        caption=sensitivity_caption(table),
    )


def tables(records: Records, currency: str) -> list[Table]:
    """One table per comparison, over all currencies."""
    table = sensitivity_table(records.outcomes, records.runs, records.trials)
    return [format_sensitivity(mine) for _, mine in table.groupby("comparison")]


def _cell(row: dict[str, Any] | None) -> str:
    return f"{row['rank']} (×{number(row['ratio'])}){'*' if row['changed'] else ''}" if row else MISSING


if __name__ == "__main__":
    raise SystemExit(main(tables, __doc__))
