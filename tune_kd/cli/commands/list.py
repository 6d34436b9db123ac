"""``list``: what there is to choose from, and what has been run."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_kd.cli.app import app, example
from tune_kd.cli.choices import one_of
from tune_kd.cli.options import CACHE, OPTIONS, STORE, option
from tune_kd.cli.shown.ranking_tables import Listing, print_json, show, table_of
from tune_kd.errors import unknown
from tune_kd.formats import MISSING, UNNAMED, energy, percentage, score_name

if TYPE_CHECKING:
    from policies import Policy
    from search_spaces import Dimension


LEAST = ("scenario", "trials", "status")  # of the columns of runs
WHAT = ("policies", "scenarios", "studies", "recipes", "spaces", "models", "runs")


@app.command(
    "list",
    epilog=example(
        "tune-kd list policies", "tune-kd list runs --store runs", "tune-kd list studies --data-root data --json"
    ),
)
def list_command(
    *,
    what: Annotated[
        str, typer.Argument(help=f"{', '.join(WHAT[:-1])} or {WHAT[-1]}.", metavar="WHAT", autocompletion=one_of(WHAT))
    ],
    store: Annotated[
        str, option(OPTIONS, "Whose runs; for studies, of whose records their energy is forecast.", STORE)
    ] = "./runs",
    cache: Annotated[
        str | None, option(OPTIONS, "For studies: where calibrations and data are kept.", "DIR", default=CACHE)
    ] = None,
    data_root: Annotated[
        str | None,
        option(OPTIONS, "For studies: where data sets with a name are looked for.", "DIR", default="in the cache"),
    ] = None,
    json: Annotated[bool, option(OPTIONS, "One JSON document instead of the table.", "", "--json")] = False,
) -> None:
    """Show what there is: policies, scenarios, studies, recipes, spaces, models, or the runs of a store."""
    if what not in WHAT:
        raise unknown("thing to list", what, WHAT)
    if what == "studies":
        show_studies(store, cache, data_root, as_json=json)
        return
    listings = (policies, scenarios, recipes, spaces, models, lambda: runs(store))
    found = listings[[name for name in WHAT if name != "studies"].index(what)]()
    if json:
        print_json([dict(zip(found.headers, row, strict=True)) for row in found.rows])
        return
    show(table_of(found))


def policies() -> Listing:
    """Each policy with what varies across trials and within one, as its own file says."""
    from policies import POLICIES

    rows = []
    for name, policy in POLICIES.items():
        said = said_by(policy)
        rows.append((name, said.title, said.across, said.within, options(policy)))
    headers = ("policy", "what it is", "across trials", "within a trial", "options")
    return Listing(headers=headers, rows=rows, least=("options", "within a trial", "across trials"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """What the docstring of a policy's file says."""

    title: str
    across: str
    within: str


def said_by(policy: type[Policy]) -> Said:
    """The first line of the policy's file, and its paragraphs on what varies; an em dash for what it leaves out."""
    text = inspect.getdoc(sys.modules[policy.__module__]) or ""

    def about(heading: str) -> str:
        found = re.search(rf"^{heading}: (.+?)(?=\n[A-Z][a-z ]+:|\n\n|\Z)", text, re.DOTALL | re.MULTILINE)
        return re.sub(r"\s+", " ", found[1]).rstrip(".").replace("``", "") if found else MISSING

    title = text.splitlines()[0].rstrip(".") if text else MISSING
    return Said(title=title, across=about("Across trials"), within=about("Within a trial"))


def options(policy: type[Policy]) -> str:
    """A policy's options as they are typed, with their defaults."""
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(policy)  # type: ignore[arg-type]
    return " ".join(f"{field.name}={_typed(field.default)}" for field in fields) or MISSING


def _typed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def scenarios() -> Listing:
    """The presets."""
    from tune_kd.config.scenario import load_scenario, scenario_names

    rows = []
    for scenario in map(load_scenario, scenario_names()):
        pair = f"{scenario.teacher} → {scenario.student}"
        rows.append((scenario.name, scenario.description, pair, str(scenario.recipe.epochs)))
    return Listing(headers=("scenario", "what it is", "teacher → student", "epochs"), rows=rows)


def show_studies(store: str, cache: str | None, data_root: str | None, *, as_json: bool) -> None:
    """The paper's tables and figures: their data, how much they train at each scale, and what it would cost."""
    from tune_kd.cli.shown.study_list import Places, data_here, document, listing, notes, scaled

    places = Places(store=store, cache=cache, data_root=data_root)
    rows, here = scaled(places), data_here(places)
    if as_json:
        print_json(document(rows, here, places))
        return
    show(table_of(listing(rows, here)))
    print()
    for line in notes(rows, here, places):
        print(line)


def recipes() -> Listing:
    """The named recipes."""
    from tune_kd.config.recipes import RECIPES

    rows = [(name, recipe.description if recipe else "the scenario's own") for name, recipe in RECIPES.items()]
    return Listing(headers=("recipe", "what it is"), rows=rows)


def spaces() -> Listing:
    """The search spaces: each dimension's values, and how many combinations a grid has."""
    from search_spaces import SPACES

    rows = []
    for name, space in SPACES.items():
        values = "; ".join(f"{label} {values_of(dimension)}" for label, dimension in space.dimensions.items())
        counts = [level_count(dimension) for dimension in space.dimensions.values()]
        grid = str(math.prod(count for count in counts if count)) if None not in counts else MISSING
        rows.append((name, values, grid))
    return Listing(headers=("space", "values", "combinations"), rows=rows)


def values_of(dimension: Dimension) -> str:
    """``2 to 20 in steps of 1``, or ``any from 2 to 20``."""
    bounds = f"{dimension.low:g} to {dimension.high:g}"
    return f"any from {bounds}" if dimension.step is None else f"{bounds} in steps of {dimension.step:g}"


def level_count(dimension: Dimension) -> int | None:
    """How many values a dimension has; None for a continuous one."""
    return None if dimension.step is None else len(dimension.levels())


def models() -> Listing:
    """The networks: ours, how others are named, and the detectors."""
    from tune_kd.models import ELSEWHERE, MODELS
    from tune_kd.models.detectors import DETECTORS

    ours = {name: model.description for name, model in MODELS.items()}
    detectors = {name: f"detector: {model.description}" for name, model in DETECTORS.items()}
    return Listing(headers=("model", "what it is"), rows=list((ours | detectors | ELSEWHERE).items()))


def runs(store: str) -> Listing:
    """What a store holds, the latest study first; a run's id says when its study began and which policy it is of."""
    from tune_kd.store import open_store
    from tune_kd.store.reading.plain_rows import plain_rows

    frame = open_store(store).list_runs()
    ordered = frame.sort_values("started_at", kind="stable").sort_values("study_id", ascending=False, kind="stable")
    rows = []
    for row in plain_rows(ordered):
        reached = percentage(row["best_val_score"]), energy(row["energy_j"])
        rows.append((row["run_id"], row["scenario"], row["status"], str(row["trials"] or 0), *reached))
    metrics = set(frame["metric"].dropna())
    val = score_name("val", "score" if len(metrics) > 1 else metrics.pop() if metrics else UNNAMED)
    return Listing(headers=("run", "scenario", "status", "trials", f"{val} %", "energy"), rows=rows, gap=1, least=LEAST)
