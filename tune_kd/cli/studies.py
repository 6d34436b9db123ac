"""``run`` and ``compare``: study something, then show what came out."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Annotated, Any

from tune_kd.cli.app import app, example
from tune_kd.cli.options import SEARCH, StudyOptions, option, with_study_options
from tune_kd.cli.tables import print_tables

if TYPE_CHECKING:
    import pandas as pd

    from tune_kd.progress import Progress
    from tune_kd.runner import Outcome

POLICY_FORM = "see tune-kd list policies"


@app.command(
    epilog=example(
        "tune-kd run --policy stochastic",
        "tune-kd run --policy annealing:shape=cosine --data photos --budget 50Wh --track budget",
    )
)
@with_study_options
def run(
    *,
    policy: Annotated[str, option(SEARCH, f"How τ is chosen: {POLICY_FORM}.", "NAME[:option=value]")] = "stochastic",
    options: StudyOptions,
) -> None:
    """Run one policy, and show what it reached and what it cost."""
    with _progress(options) as progress:
        from tune_kd.api import run as run_policy

        outcome = run_policy(policy, **options.arguments(), progress=progress)
    _show(outcome, options)


@app.command(
    epilog=example(
        "tune-kd compare --policies grid,random,tpe,annealing,stochastic --budget 20trials --replicates 2",
        "tune-kd compare --policies grid,stochastic --data photos --student mobilenetv2 --country DEU",
    )
)
@with_study_options
def compare(
    *,
    policies: Annotated[
        str,
        option(SEARCH, f"How τ is chosen, commas between: {POLICY_FORM}.", "NAME,NAME,…"),
    ],
    options: StudyOptions,
) -> None:
    """Run several policies on the same scenario under the same budget, and rank them."""
    names = [name.strip() for name in policies.split(",") if name.strip()]
    with _progress(options) as progress:
        from tune_kd.api import compare as compare_policies

        outcome = compare_policies(names, **options.arguments(), progress=progress)
    _show(outcome, options)


def _progress(options: StudyOptions) -> AbstractContextManager[Progress]:
    """The display, closed whatever happens: an error's line comes below it."""
    from tune_kd.displays import choose_progress

    progress = choose_progress(quiet=options.quiet)
    progress.stage("loading PyTorch and Ray")
    return closing(progress)


def _show(outcome: Outcome, options: StudyOptions) -> None:
    """The ranking table of the study, where its records are and how to go on; or all of it as JSON."""
    study, store = outcome.study, outcome.store
    runs, trials = store.runs(), store.trials()
    runs = runs[runs["study_id"] == study.study_id]
    trials = trials[trials["run_id"].isin(runs["run_id"])]
    policies = list(dict.fromkeys(plan.label for plan in study.runs))
    if options.json:
        print(json.dumps(document(outcome, runs, trials, policies, options.store), indent=2, ensure_ascii=False))
        return
    print_tables(runs, trials, store.nodes(), policies=policies)
    print(f"\nThe records are in {options.store}, study {study.study_id}.")
    again = "tune-kd report" if options.store == StudyOptions.store else f"tune-kd report {options.store}"
    print(f"Go on with: {again}")


def document(
    outcome: Outcome, runs: pd.DataFrame, trials: pd.DataFrame, policies: list[str], store: str
) -> dict[str, Any]:
    """What ``--json`` prints: the study, its runs and its table, in base units, null where nothing was measured."""
    from analysis.summary import policy_table

    table = policy_table(runs, trials, outcome.store.nodes(), policies=policies)
    return {
        "study_id": outcome.study.study_id,
        "store": store,
        "runs": [
            {
                "run_id": plan.run_id,
                "policy": plan.label,
                "replicate": plan.replicate,
                "status": outcome.statuses[plan.run_id],
            }
            for plan in outcome.study.runs
        ],
        "table": json.loads(table.to_json(orient="records", date_format="iso", double_precision=15)),
    }
