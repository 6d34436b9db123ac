"""What a store's records say of the paper's claim about costs, in Markdown, by several ways of counting."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from analysis.pages.compared import DRAWN, NOTHING, TUNED, Compared, comparisons
from analysis.pages.markdown import PAPERS_CLAIM, claim
from analysis.pages.paper_numbers import Said
from analysis.rendering.table import number, pipes
from analysis.runs.accounting import Accounting, as_float, columns, run_costs
from analysis.runs.reading import Records
from tune_kd.formats import MISSING

# Three of the ways of counting; the claim is judged by the first two.
JOULES, PROCESSORS, FLOPS = "all joules", "processors' joules above idle", "FLOPs as executed"
ROUNDING = 1e-9  # a ratio of counted FLOPs may be 1/19 exactly


def cost(records: Records) -> Said:
    """The cost of stochastic over that of tuned τ, by several ways of counting."""
    rows, shorts, said = [], [], []
    for one in comparisons(records, DRAWN, TUNED):
        ratios = {}
        for name, costs in _countings(one):
            pair = one.pair(DRAWN, TUNED, energy_j=costs)
            ratios[name] = number(pair["ratio"])
            below = "yes" if pair["ratio_upper"] <= PAPERS_CLAIM * (1 + ROUNDING) else "no"
            below = MISSING if math.isnan(pair["ratio_upper"]) else below
            bounds = f"{number(pair['ratio'])} [{number(pair['ratio_low'])}, {number(pair['ratio_high'])}]"
            rows.append([one.data, name, str(pair["n"]), bounds, number(pair["ratio_upper"]), below])
        shorts.append(
            f"{one.data}: {ratios[JOULES]} of tuned's joules, {ratios[PROCESSORS]} of its processors' above idle, "
            f"{ratios[FLOPS]} of its FLOPs"
        )
        said.append(f"**{one.title}.** {claim(one.outcomes)} {_company(one)}")
    if not rows:
        return NOTHING
    headers = [
        "data",
        "what is counted",
        "n",
        "stochastic over tuned [95 %]",
        "at most",
        "within 1/19",
    ]
    methods = sorted(records.trials["energy_method"].dropna().unique())
    notes = [
        f"*At most*: one-sided 95 % bound; {number(PAPERS_CLAIM)} is 1/19. The trainings of a grid share the teacher's "
        "answers, which are asked for once; a single training pays for them alone. So the ratio is above 1/19 where "
        "the teacher costs much beside the student. In the paper each training asks the teacher itself.",
        "The claim is judged by all joules and by those of the processors above idle, and holds only by both.",
        f"Joules are by: {', '.join(methods)}. A model's joules follow time and load, and those of memory follow the "
        "hours, so that they have the noise of a busy machine. FLOPs are counted.",
    ]
    return Said("; ".join(shorts), [pipes(headers, rows, text_columns=2), *notes, *said])


def _countings(one: Compared) -> Iterator[tuple[str, pd.Series]]:
    """Each way of counting by its name, with what each run costs by it."""
    run_ids, by_run = one.outcomes["run_id"], one.trials["run_id"]
    parts = columns(one.trials, ("flops_paper",))
    taught = run_costs(one.runs, one.trials, Accounting(teacher_runs=1))
    asked = as_float(parts["flops_paper"]).groupby(by_run).sum(min_count=1)
    yield JOULES, one.outcomes["energy_j"]
    yield PROCESSORS, one.outcomes["energy_processors_j"]
    yield "all joules, the teacher's training among them", run_ids.map(taught)
    yield FLOPS, one.outcomes["flops_executed"]
    yield "FLOPs, were the teacher asked in each training", run_ids.map(asked)


def _company(one: Compared) -> str:
    beside = one.outcomes.groupby("label")["co_tenants"].mean()
    told = " and ".join(f"{number(beside[label], 2)} beside one of {label}" for label in (DRAWN, TUNED))
    return f"Other trials on the same machine, in the mean: {told}."
