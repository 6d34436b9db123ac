"""``plan``: what a comparison is going to cost, and what it can show, before anything is spent."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tune_kd.cli.app import app, example
from tune_kd.cli.options import CACHE, POLICY_FORM, SEARCH, SHOWN, STORE, WHERE, option, policy_names, with_options
from tune_kd.cli.shown.costs import COSTS, earlier_store, totals, trial_cost
from tune_kd.cli.shown.ranking_tables import Listing, print_json, show, table_of
from tune_kd.cli.study_options import WORDS
from tune_kd.formats import MISSING, duration, emissions, energy, plural, significant
from tune_kd.planning.plan_options import Planning

if TYPE_CHECKING:
    from analysis.statistics.detectable import Detectable
    from tune_kd.planning.forecast import Forecast, TrialCost
    from tune_kd.planning.plan import Study
    from tune_kd.store import Store

NOTHING_MEASURED = (
    f"{MISSING}: nothing of this scenario was measured here yet. Run something of it first, such as --policies random "
    "--budget 1trial; or give --budget 20trials-equivalent to run and compare, which measure one trial first"
)


@app.command(
    epilog=example(
        "tune-kd plan --policies grid,random,tpe,annealing,stochastic --budget 20trials --replicates 10",
        "tune-kd plan --policies grid,stochastic --budget 50Wh --track budget --json",
    )
)
@with_options(WORDS)
def plan(
    *,
    policies: Annotated[list[str], option(SEARCH, f"How τ is chosen, commas between: {POLICY_FORM}.", "NAME,NAME,…")],
    store: Annotated[str, option(WHERE, "Earlier records, of which a trial's cost is taken.", STORE)] = "./runs",
    cache: Annotated[
        str | None, option(WHERE, "Where a calibration is kept, that is taken otherwise.", "DIR", default=CACHE)
    ] = None,
    json: Annotated[
        bool, option(SHOWN, "One JSON document instead of the table, in base units.", "", "--json")
    ] = False,
    planning: Planning,
) -> None:
    """Show what compare would cost, and the smallest difference it could show. Runs nothing and writes nothing."""
    from tune_kd.planning.forecast import forecast
    from tune_kd.planning.plan import plan_study

    study = plan_study(policies=policy_names(policies), planning=planning)
    earlier = earlier_store(store, cache)
    cost = trial_cost(study, earlier, cache)
    rows, shown = forecast(study, cost), resolution(study, earlier)
    if json:
        print_json(document(rows, cost, shown))
        return
    show(table_of(listing(rows)))
    print()
    for line in notes(rows, cost, shown):
        print(line)


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What the replicates of a comparison can show, and by which spread."""

    pairs: int
    found: Detectable
    spread: str  # where the standard deviation comes from
    metric: str  # what the differences are in


def resolution(study: Study, earlier: Store | None) -> Resolution | None:
    """By the spread in earlier records of the scenario, else by the paper's; None for one policy alone."""
    from analysis.statistics.detectable import USUAL_SD, detectable
    from tune_kd.tasks.catalogue import task_of

    replicates = 1 + max(run.replicate for run in study.runs)
    pairs = math.comb(len({run.label for run in study.runs}), 2)
    if not pairs:
        return None
    sd = None if earlier is None else _recorded_sd(earlier, study)
    found = detectable(
        replicates,
        sd=USUAL_SD if sd is None else sd,
        margin=study.scenario.equivalence_margin,
        pairs=pairs,
    )
    spread = "as in the paper's scenario" if sd is None or earlier is None else f"as recorded in {earlier.location}"
    return Resolution(pairs=pairs, found=found, spread=spread, metric=task_of(study.scenario).metric)


def _recorded_sd(earlier: Store, study: Study) -> float | None:
    from analysis.runs.outcomes import run_outcomes
    from analysis.statistics.detectable import paired_sd
    from tune_kd.config.scenario import scenario_sha256

    runs = earlier.runs()
    same = runs[runs["scenario_sha256"] == scenario_sha256(study.scenario)]
    if same.empty:
        return None
    return paired_sd(run_outcomes(same, earlier.trials(run_ids=list(same["run_id"]))))


def listing(rows: list[Forecast]) -> Listing:
    """A row a policy, and the sum where there are several; ``≤`` where a policy or a track may stop before that."""
    cells = [
        (row.label, str(row.runs), *(_at_most(row, text) for text in (_trials(row.trials), *_costs(_by_name(row)))))
        for row in rows
    ]
    if len(rows) > 1:
        cells.append(("all", str(sum(row.runs for row in rows)), "", *_costs(totals(rows))))
    return Listing(
        headers=("policy", "runs", "trials a run", "time", "energy", "CO2e"), rows=cells, least=("runs", "CO2e")
    )


def notes(rows: list[Forecast], cost: TrialCost | None, shown: Resolution | None) -> list[str]:
    """Where the figures come from, or how to get some; then what the replicates can show."""
    lines = [NOTHING_MEASURED]
    if cost is not None:
        lines = [f"By the {cost.source}; time is that of one trial after another."]
        if None in totals(rows).values():
            lines.append(f"{MISSING}: nothing measured that of these trials; see tune-kd doctor.")
    return lines if shown is None else [*lines, _in_words(shown)]


def _in_words(shown: Resolution) -> str:
    found = shown.found
    replicates = plural(found.replicates, "replicate")
    if found.difference is None:
        return f"{replicates} cannot show any difference in {shown.metric}: give --replicates 2 or more, better 10."
    return (
        f"{replicates} can show a difference in test {shown.metric} of {significant(100 * found.difference, 2)} "
        f"percentage points or more (power 80 %, level 5 % over {plural(shown.pairs, 'pair')}; differences spread by "
        f"{significant(100 * found.sd, 2)}, {shown.spread})."
    )


def document(rows: list[Forecast], cost: TrialCost | None, shown: Resolution | None) -> dict[str, Any]:
    """What ``--json`` prints, in base units and fractions of the metric; null where something is unknown."""
    return {
        "policies": [dataclasses.asdict(row) for row in rows],
        "all": totals(rows),
        "trial": None if cost is None else dataclasses.asdict(cost),
        "detectable": None
        if shown is None
        else {**dataclasses.asdict(shown.found), "pairs": shown.pairs, "spread": shown.spread},
    }


def _by_name(row: Forecast) -> dict[str, float | None]:
    return {name: getattr(row, name) for name in COSTS}


def _costs(costs: dict[str, float | None]) -> tuple[str, str, str]:
    return duration(costs["duration_s"]), energy(costs["energy_j"]), emissions(costs["co2e_g"])


def _trials(count: float | None) -> str:
    return MISSING if count is None else f"{count:.3g}" if count % 1 else f"{count:.0f}"


def _at_most(row: Forecast, text: str) -> str:
    return f"≤ {text}" if row.at_most and text != MISSING else text
