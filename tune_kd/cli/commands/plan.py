"""``plan``: what a comparison is going to cost, and what it can show, before anything is spent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from tune_kd.cli.app import app, example
from tune_kd.cli.options import CACHE, POLICY_FORM, SEARCH, SHOWN, STORE, WHERE, option, policy_names, with_options
from tune_kd.cli.shown.ranking_tables import print_json, show
from tune_kd.cli.study_options import WORDS
from tune_kd.formats import MISSING, duration, emissions, energy
from tune_kd.planning.known_costs import COSTS, totals
from tune_kd.planning.looks import Deciding
from tune_kd.planning.plan_options import Planning
from tune_kd.terminal.listing import Listing, table_of

if TYPE_CHECKING:
    from tune_kd.api.verdict_forecast import VerdictForecast
    from tune_kd.planning.forecast import Forecast, TrialCost

NOTHING_MEASURED = (
    f"{MISSING}: nothing of this scenario was measured here yet. Run something of it first, such as --policies random "
    "--budget 1trial; or give --budget 20trials-equivalent to run and compare, which measure one trial first"
)


@app.command(
    epilog=example(
        "tune-kd plan --policies grid,random,tpe,annealing,stochastic --budget 20trials --replicates 10",
        "tune-kd plan --policies grid,stochastic --budget 50Wh --track budget --json",
        "tune-kd plan --policies grid,fixed,stochastic --until-decided",
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
    side_by_side: Annotated[
        str, option(WHERE, "Trials that one process will train at the same time, as compare takes it.", "N|auto")
    ] = "1",
    json: Annotated[
        bool, option(SHOWN, "One JSON document instead of the table, in base units.", "", "--json")
    ] = False,
    planning: Planning,
    deciding: Deciding,
) -> None:
    """Show what compare would cost, and which verdicts it could give. Runs nothing and writes nothing."""
    from tune_kd.api.plans import plan

    where = {"store": store, "cache": cache, "side_by_side": side_by_side}
    found = plan(policy_names(policies), planning=planning, deciding=deciding, **where)
    rows, cost, beside, verdicts = found.forecasts, found.trial, found.beside, found.verdicts
    if json:
        print_json(document(rows, cost, beside, verdicts))
        return
    show(table_of(listing(rows)))
    print()
    for line in notes(rows, cost, beside):
        print(line)
    if verdicts is not None:
        print(f"\n{verdicts.sentence()}")
        if (shares := verdicts.listing()) is not None:
            show(table_of(shares))


def listing(rows: Sequence[Forecast]) -> Listing:
    """A row a policy, and the sum where there are several; ``≤`` where policy, track or verdicts may end it before."""
    cells = []
    for row in rows:
        runs, trials = _at_most(str(row.runs), row.runs_at_most), _at_most(_trials(row.trials), row.at_most)
        cells.append((row.label, runs, trials, *_costs(_by_name(row), row.at_most or row.runs_at_most)))
    if len(rows) > 1:
        fewer = any(row.runs_at_most for row in rows)
        runs = _at_most(str(sum(row.runs for row in rows)), fewer)
        cells.append(("all", runs, "", *_costs(totals(rows), fewer or any(row.at_most for row in rows))))
    return Listing(
        headers=("policy", "runs", "trials a run", "time", "energy", "CO2e"), rows=cells, least=("runs", "CO2e")
    )


def notes(rows: Sequence[Forecast], cost: TrialCost | None, beside: TrialCost | None) -> list[str]:
    """Where the figures come from, or how to get some."""
    lines = [NOTHING_MEASURED]
    if cost is not None:
        lines = [f"By the {cost.source}; time is that of one trial after another."]
        if None in totals(rows).values():
            lines.append(f"{MISSING}: nothing measured that of these trials; see tune-kd doctor.")
    if beside is not None:
        by = f"by the {beside.source}" if beside.trials else f"{MISSING}: none of this scenario was here yet"
        lines.append(f"Trials that are trained side by side: {by}.")
    if any(row.runs_at_most for row in rows):
        lines.append(f"Runs are those of the last look, {rows[0].runs} a policy; one decided earlier has fewer.")
    return lines


def document(
    rows: Sequence[Forecast], cost: TrialCost | None, beside: TrialCost | None, verdicts: VerdictForecast | None
) -> dict[str, Any]:
    """What ``--json`` prints, in base units and fractions of the metric; null where something is unknown."""
    return {
        "policies": [dataclasses.asdict(row) for row in rows],
        "all": totals(rows),
        "trial": None if cost is None else dataclasses.asdict(cost),
        "trial_side_by_side": dataclasses.asdict(beside) if beside is not None and beside.trials else None,
        "resolution": None if verdicts is None else verdicts.document(),
    }


def _by_name(row: Forecast) -> dict[str, float | None]:
    return {name: getattr(row, name) for name in COSTS}


def _costs(costs: dict[str, float | None], at_most: bool) -> list[str]:
    shown = duration(costs["duration_s"]), energy(costs["energy_j"]), emissions(costs["co2e_g"])
    return [_at_most(text, at_most) for text in shown]


def _trials(count: float | None) -> str:
    return MISSING if count is None else f"{count:.3g}" if count % 1 else f"{count:.0f}"


def _at_most(text: str, is_most: bool) -> str:
    return f"≤ {text}" if is_most and text != MISSING else text
