"""``study``: one of the paper's tables or figures by name, what it would cost first, then run and laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_kd.cli.app import app, example
from tune_kd.cli.choices import PAPER_STUDIES, SCALES, one_of
from tune_kd.cli.options import OPTIONS, SEARCH, WHAT, option, with_options
from tune_kd.cli.shown.running import run_and_show
from tune_kd.cli.shown.study_tables import show_study
from tune_kd.cli.study_options import WORDS, Shown
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.paper_catalogue import paper_study

if TYPE_CHECKING:
    from tune_kd.api.study_plans import StudyPlan
    from tune_kd.progress.base import Progress
    from tune_kd.results.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Parts:
    """How the parts of a study are planned, and whether they are run."""

    scale: Annotated[
        str,
        option(
            WHAT,
            "full: the paper's protocol; small: stand-ins for the networks, 1,000 images and few epochs.",
            "NAME",
            complete=one_of(SCALES),
        ),
    ] = "full"
    plan_only: Annotated[bool, option(OPTIONS, "Show what it would cost, and run nothing.", "", "--plan-only")] = False
    data: Annotated[
        list[str] | None,
        option(
            WHAT,
            "A data set from a folder of images or Parquet files, as in cifar10=photos; repeat it for more.",
            "NAME=DIR",
            "--data",
            default="from --data-root, else downloaded",
        ),
    ] = None
    set: Annotated[
        list[str] | None,
        option(WHAT, "Any field of all scenarios, as in recipe.lr=0.05; repeat it for more.", "KEY=VALUE", "--set"),
    ] = None
    replicates: Annotated[
        int | None,
        option(SEARCH, "Independent repeats, each with its own seed.", "N", default="full: 5, small: 1"),
    ] = None
    seed: Annotated[int, option(SEARCH, "What all seeds come from.", "N")] = 0

    @property
    def chosen(self) -> dict[str, Any]:
        """What decides the plan, checked, as :func:`tune_kd.api.studies.study` takes it. Raises InputError."""
        from tune_kd.planning.paper_studies import sources_given
        from tune_kd.planning.plan_options import fields_set

        return {
            "scale": self.scale,
            "sources": sources_given(self.data),
            "replicates": self.replicates,
            "seed": self.seed,
            "settings": fields_set(self.set),
        }


@app.command(
    epilog=example(
        "tune-kd study table1 --scale small --data-root data",
        "tune-kd study table4 --plan-only",
        "tune-kd study fig3b --scale small --data cifar10=photos/cifar10 --replicates 3",
    )
)
@with_options(WORDS)
def study(
    *,
    name: Annotated[
        str,
        typer.Argument(
            help=f"{', '.join(PAPER_STUDIES[:-1])} or {PAPER_STUDIES[-1]}: see docs/studies.md.",
            metavar="NAME",
            autocompletion=one_of(PAPER_STUDIES),
        ),
    ],
    parts: Parts,
    execution: Execution,
    shown: Shown,
) -> None:
    """Run one of the paper's tables or figures, and show it in the paper's layout. Shows first what it would cost."""
    paper_study(name)  # a name that is none is told before PyTorch is loaded
    if parts.plan_only or not (shown.quiet or shown.json):
        from tune_kd.api.study_plans import plan_study

        planned = plan_study(name, **parts.chosen, store=execution.store, cache=execution.cache)
        show_plan(planned, as_json=shown.json)
    if parts.plan_only:
        return

    def start(progress: Progress) -> Outcome:
        from tune_kd.api.studies import study

        return study(name, **parts.chosen, execution=execution, progress=progress)

    def show(outcome: Outcome) -> None:
        show_study(outcome, name, parts.scale, execution, shown)

    run_and_show(start, show, store=str(execution.store), quiet=shown.quiet)


def show_plan(planned: StudyPlan, *, as_json: bool) -> None:
    """What each part would train and cost, a row each, and the sum."""
    from tune_kd.api.study_costs import document, listing, notes
    from tune_kd.cli.shown.ranking_tables import print_json, show
    from tune_kd.terminal.listing import table_of

    if as_json:
        print_json(document(planned.name, planned.protocol, planned.parts))
        return
    print(f"{planned.name}, {planned.protocol}: {paper_study(planned.name).title}\n")
    show(table_of(listing(planned.parts)))
    print()
    for line in notes(planned.parts):
        print(line)
