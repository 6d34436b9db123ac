"""Policies across scenarios: mean ranks, Friedman and Nemenyi, performance profiles.

One scenario is one block, whatever its replicates: they make its means better, not its number larger. Below
``SCENARIOS_TO_TEST`` there are mean ranks and no test (Demšar 2006).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.captions import profile_caption, ranks_caption
from analysis.command import main
from analysis.rendering.table import Table, as_rows, number
from analysis.runs.accounting import Accounting
from analysis.runs.reading import Records
from analysis.target import target_table

SCENARIOS_TO_TEST = 8


@dataclass(frozen=True, kw_only=True)
class Across:
    """Ranks of policies over scenarios; 1 is the most accurate, ties share the mean of their ranks.

    ``p_friedman``, ``critical_difference`` (Nemenyi, 5 %) and ``nemenyi`` (p values, policies × policies) are None
    below ``SCENARIOS_TO_TEST`` scenarios or three policies.
    """

    scenarios: int
    mean_ranks: pd.Series
    p_friedman: float | None = None
    critical_difference: float | None = None
    nemenyi: pd.DataFrame | None = None


def blocks_of(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The counted rows of one comparison a scenario: that of the most policies, then runs, then the first.

    A second comparison of a scenario (another budget, other hardware) is no further block: its errors are the same.
    """
    counted = outcomes[outcomes["counted"]]
    size = counted.groupby(["scenario", "comparison"]).agg(policies=("label", "nunique"), runs=("run_id", "size"))
    order = size.reset_index().sort_values(["policies", "runs", "comparison"], ascending=[False, False, True])
    return counted[counted["comparison"].isin(order.drop_duplicates("scenario")["comparison"])]


def block_matrix(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Mean test accuracy, [scenarios × policies]: policies that every scenario has, in each scenario's block."""
    counted = blocks_of(outcomes)
    matrix = counted.pivot_table(index="scenario", columns="label", values="test_score", aggfunc="mean", sort=False)
    return matrix.dropna(axis="columns")


def across(blocks: pd.DataFrame) -> Across:
    """Mean ranks, and where there are enough scenarios Friedman's test with Nemenyi's; ``blocks``: larger is better."""
    mean_ranks = blocks.rank(axis=1, ascending=False).mean().sort_values()
    scenarios, policies = blocks.shape
    if scenarios < SCENARIOS_TO_TEST or policies < 3:
        return Across(scenarios=scenarios, mean_ranks=mean_ranks)
    from scikit_posthocs import posthoc_nemenyi_friedman
    from scipy.stats import friedmanchisquare

    values = blocks.to_numpy()
    return Across(
        scenarios=scenarios,
        mean_ranks=mean_ranks,
        p_friedman=float(friedmanchisquare(*values.T).pvalue),
        critical_difference=nemenyi_difference(policies, scenarios),
        nemenyi=posthoc_nemenyi_friedman(values).set_axis(blocks.columns, axis=0).set_axis(blocks.columns, axis=1),
    )


def nemenyi_difference(policies: int, scenarios: int, level: float = 0.05) -> float:
    """The mean ranks of two policies differ at ``level`` if they are this far apart: q √(k(k+1)/6N) (Demšar 2006)."""
    from scipy.stats import studentized_range

    q = studentized_range.ppf(1 - level, policies, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(policies * (policies + 1) / (6 * scenarios)))


def performance_profile(costs: pd.DataFrame) -> pd.DataFrame:
    """Dolan and Moré's profiles of ``costs`` [scenarios × policies], inf where a policy never got there.

    Index ``ratio``: cost as a multiple of the scenario's least; column: a policy; value: the share of scenarios that
    it solves within that ratio. Scenarios that no policy solves count for none.
    """
    ratios = costs.div(costs.min(axis=1), axis=0).fillna(np.inf)
    ratios[~np.isfinite(costs)] = np.inf
    at = np.unique(ratios.to_numpy()[np.isfinite(ratios.to_numpy())])
    shares = [(ratios.to_numpy() <= limit).mean(axis=0) for limit in at]
    return pd.DataFrame(shares, index=pd.Index(at, name="ratio"), columns=costs.columns)


def cost_blocks(outcomes: pd.DataFrame, runs: pd.DataFrame, trials: pd.DataFrame, currency: str) -> pd.DataFrame:
    """ERT to target, [scenarios × policies], for :func:`performance_profile`; in each scenario's block."""
    table = target_table(outcomes, runs, trials, accounting=Accounting(currency=currency))
    scenario = blocks_of(outcomes).drop_duplicates("comparison").set_index("comparison")["scenario"]
    table = table[table["comparison"].isin(scenario.index)]
    table = table.assign(scenario=table["comparison"].map(scenario))
    return table.pivot(index="scenario", columns="label", values="ert").astype(float)


def format_across(result: Across) -> Table:
    """Mean ranks as text, with what the tests say or why there are none."""
    data = result.mean_ranks.rename_axis("label").rename("mean_rank").reset_index()
    notes = [f"over {result.scenarios} scenarios, by mean test score; 1 is best"]
    if result.p_friedman is None:
        notes.append(f"no test below {SCENARIOS_TO_TEST} scenarios or 3 policies")
    else:
        notes.append(f"Friedman p = {number(result.p_friedman, 2)}; mean ranks within")
        notes[-1] += f" {number(result.critical_difference)} of each other are not told apart (Nemenyi, 5 %)"
    rows = [[row["label"], f"{row['mean_rank']:.2f}"] for row in as_rows(data)]
    return Table(
        title="Mean ranks across scenarios",
        headers=["policy", "mean rank"],
        rows=rows,
        data=data,
        notes=notes,
        caption=ranks_caption(result.scenarios, tested=result.p_friedman is not None),
    )


def tables(records: Records, currency: str) -> list[Table]:
    """Mean ranks by accuracy; the profile of costs to target in ``currency``."""
    blocks = cost_blocks(records.outcomes, records.runs, records.trials, currency)
    shown = [format_across(across(block_matrix(records.outcomes)))]
    if len(blocks) >= SCENARIOS_TO_TEST:
        shown.append(format_profile(performance_profile(blocks), currency, len(blocks)))
    return shown


def format_profile(profile: pd.DataFrame, currency: str, scenarios: int) -> Table:
    """A performance profile as text."""
    data = profile.reset_index()
    rows = [[number(row.pop("ratio")), *(number(share) for share in row.values())] for row in as_rows(data)]
    return Table(
        title=f"Performance profile: share of scenarios by {currency} to target over the least",
        headers=["within ×", *map(str, profile.columns)],
        rows=rows,
        data=data,
        notes=[f"{scenarios} scenarios; expected cost to target (ERT)"],
        text_columns=0,
        caption=profile_caption(scenarios, currency),
    )


if __name__ == "__main__":
    raise SystemExit(main(tables, __doc__))
