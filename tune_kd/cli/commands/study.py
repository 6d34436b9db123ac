"""``study``: one of the paper's tables or figures by name, what it would cost first, then run and laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tune_kd.cli.app import app, example
from tune_kd.cli.choices import PAPER_STUDIES, SCALES, one_of
from tune_kd.cli.options import OPTIONS, SEARCH, WHAT, option, with_options
from tune_kd.cli.shown.running import run_and_show
from tune_kd.cli.shown.study_tables import show_study
from tune_kd.cli.study_options import WORDS, Shown
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.paper_catalogue import paper_study
from tune_kd.planning.paper_options import PaperPlanning

if TYPE_CHECKING:
    from tune_kd.api.study_plans import StudyPlan
    from tune_kd.progress.base import Progress
    from tune_kd.results.outcome import Outcome


PAPER_WORDS = {
    "scale": option(
        WHAT,
        "full: the paper's protocol; small: stand-ins for the networks, 1,000 images and few epochs.",
        "NAME",
        complete=one_of(SCALES),
    ),
    "data": option(
        WHAT,
        "A data set from a folder of images or Parquet files, as in cifar10=photos; repeat it for more.",
        "NAME=DIR",
        "--data",
        default="from --data-root, else downloaded",
    ),
    "set": option(WHAT, "Any field of all scenarios, as in recipe.lr=0.05; repeat it for more.", "KEY=VALUE", "--set"),
    "replicates": option(SEARCH, "Independent repeats, each with its own seed.", "N", default="full: 5, small: 1"),
}
"""What the help says of options that are others here than those of the same name elsewhere."""


@app.command(
    epilog=example(
        "tune-kd study table1 --scale small --data-root data",
        "tune-kd study table4 --plan-only",
        "tune-kd study fig3b --scale small --data cifar10=photos/cifar10 --replicates 3",
    )
)
@with_options({**PAPER_WORDS, **{name: words for name, words in WORDS.items() if name not in PAPER_WORDS}})
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
    plan_only: Annotated[bool, option(OPTIONS, "Show what it would cost, and run nothing.", "", "--plan-only")] = False,
    paper: PaperPlanning,
    execution: Execution,
    shown: Shown,
) -> None:
    """Run one of the paper's tables or figures, and show it in the paper's layout. Shows first what it would cost."""
    paper_study(name)  # a name that is none is told before PyTorch is loaded
    if plan_only or not (shown.quiet or shown.json):
        from tune_kd.api.study_plans import plan_study

        planned = plan_study(name, paper=paper, store=execution.store, cache=execution.cache)
        show_plan(planned, as_json=shown.json)
    if plan_only:
        return

    def start(progress: Progress) -> Outcome:
        from tune_kd.api.studies import study

        return study(name, paper=paper, execution=execution, progress=progress)

    def show(outcome: Outcome) -> None:
        show_study(outcome, name, paper.scale, execution, shown)

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
