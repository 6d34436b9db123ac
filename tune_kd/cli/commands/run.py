"""``run``, ``compare`` and ``resume``: study something, then show what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tune_kd.cli.app import app, example
from tune_kd.cli.options import OPTIONS, POLICY_FORM, SEARCH, option, policy_names, with_options
from tune_kd.cli.shown.results import show_results
from tune_kd.cli.shown.running import run_and_show
from tune_kd.cli.study_options import WORDS, Shown
from tune_kd.config.keywords import changed
from tune_kd.errors import InputError
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.looks import PLAIN, Deciding
from tune_kd.planning.plan_options import Planning
from tune_kd.storage.urls import is_url

if TYPE_CHECKING:
    from tune_kd.progress.base import Progress
    from tune_kd.results.outcome import Outcome


@app.command(
    epilog=example(
        "tune-kd run --policy stochastic",
        "tune-kd run --policy annealing:shape=cosine --data photos --budget 50Wh --track budget",
    )
)
@with_options(WORDS)
def run(
    *,
    policy: Annotated[str, option(SEARCH, f"How τ is chosen: {POLICY_FORM}.", "NAME[:option=value]")] = "stochastic",
    planning: Planning,
    execution: Execution,
    shown: Shown,
) -> None:
    """Run one policy, and show what it reached and what it cost."""
    _check_at_once([policy], planning, PLAIN)

    def start(progress: Progress) -> Outcome:
        from tune_kd.api.studies import run

        return run(policy, planning=planning, execution=execution, progress=progress)

    run_study(start, execution, shown)


@app.command(
    epilog=example(
        "tune-kd compare --policies grid,random,tpe,annealing,stochastic --budget 20trials --replicates 2",
        "tune-kd compare --policies grid,stochastic --data photos --student mobilenetv2 --country DEU",
        "tune-kd compare --policies grid,fixed,stochastic --until-decided --max-replicates 20",
        "tune-kd compare --extend 20260301-120000-1a2b --replicates 10",
    )
)
@with_options(WORDS)
def compare(
    *,
    policies: Annotated[
        list[str] | None,
        option(
            SEARCH, f"How τ is chosen, commas between: {POLICY_FORM}.", "NAME,NAME,…", default="required but to extend"
        ),
    ] = None,
    extend: Annotated[
        str | None,
        option(SEARCH, "Bring this study to so many --replicates instead, all else as it was planned.", "STUDY"),
    ] = None,
    force: Annotated[
        bool, option(OPTIONS, "Extend though data or code have changed, and record what has.", "", "--force")
    ] = False,
    planning: Planning,
    deciding: Deciding,
    execution: Execution,
    shown: Shown,
) -> None:
    """Run several policies on the same scenario under the same budget, and rank them."""
    if extend is not None:
        _check_extension(extend, policies, planning, deciding)
        extend_study(extend, planning.replicates, execution, shown, force=force)
        return
    if not policies:
        raise InputError("nothing to compare: give --policies, as in --policies grid,stochastic, or --extend STUDY")
    if force:
        raise InputError("--force is for --extend STUDY; a new study has nothing that could have changed")
    names = policy_names(policies)
    _check_at_once(names, planning, deciding)

    def start(progress: Progress) -> Outcome:
        from tune_kd.api.studies import compare

        return compare(names, planning=planning, deciding=deciding, execution=execution, progress=progress)

    run_study(start, execution, shown)


def _check_at_once(policies: Sequence[str], planning: Planning, deciding: Deciding) -> None:
    """Tell wrong input before PyTorch is loaded. Raises InputError."""
    from tune_kd.planning.first_checks import check_at_once

    check_at_once(policies, planning, deciding)


def _check_extension(study_id: str, policies: Sequence[str] | None, planning: Planning, deciding: Deciding) -> None:
    """Raises InputError where ``compare --extend`` was given what the study settled when it was planned."""
    if changed(deciding):
        raise InputError(
            f"study {study_id} was planned without looks, and none can be planned once replicates were seen; leave out "
            f"--until-decided and --max-replicates, or give them to a new comparison"
        )
    planned = [f"--{name.replace('_', '-')}" for name in changed(planning) if name != "replicates"]
    if refused := [*(["--policies"] if policies else []), *planned]:
        raise InputError(f"--extend goes on as study {study_id} was planned; leave out {', '.join(refused)}")


def extend_study(study_id: str, replicates: int, execution: Execution, shown: Shown, *, force: bool) -> None:
    """``compare --extend``: more replicates of what was planned before."""

    def start(progress: Progress) -> Outcome:
        from tune_kd.api.studies import extend

        return extend(study_id, replicates=replicates, force=force, execution=execution, progress=progress)

    run_study(start, execution, shown)


@app.command(
    epilog=example(
        "tune-kd resume",
        "tune-kd resume 20260301-120000-1a2b --store s3://bucket/runs --max-concurrent 4",
    )
)
@with_options(WORDS)
def resume(
    *,
    run: Annotated[
        str | None,
        typer.Argument(
            help="The id of a run or of a study.", metavar="RUN", show_default="the latest unfinished study"
        ),
    ] = None,
    force: Annotated[
        bool, option(OPTIONS, "Go on though data or code have changed, and record what has.", "", "--force")
    ] = False,
    execution: Execution,
    shown: Shown,
) -> None:
    """Go on with what was interrupted: what has ended is not run again, and what was spent stays spent."""
    if not is_url(execution.store):  # an id that is none is told before PyTorch is loaded
        from tune_kd.history.unfinished import unfinished
        from tune_kd.results.looks import between_looks
        from tune_kd.store import open_store

        store = open_store(execution.store, cache=execution.home.folder)
        if between_looks(store, run) is None:
            unfinished(store, run)

    def start(progress: Progress) -> Outcome:
        from tune_kd.api.studies import resume

        return resume(run, force=force, execution=execution, progress=progress)

    run_study(start, execution, shown)


def run_study(start: Callable[[Progress], Outcome], execution: Execution, shown: Shown) -> None:
    """Run a study and show what it came to. Where some of its runs failed, what the others came to, then RunFailed."""
    execution.check()

    def show(outcome: Outcome) -> None:
        show_outcome(outcome, execution, shown)

    run_and_show(start, show, store=str(execution.store), quiet=shown.quiet)


def show_outcome(outcome: Outcome, execution: Execution, shown: Shown) -> None:
    """The tables of a paper's study that was resumed, the ranking of any other."""
    from tune_kd.cli.shown.study_tables import show_study
    from tune_kd.planning.paper_studies import named_after

    if (paper := named_after(outcome.study.name)) is not None:
        show_study(outcome, *paper, execution, shown)
        return
    show_results(outcome, store=str(execution.store), as_json=shown.json)
