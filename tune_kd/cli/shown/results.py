"""What a study came to: its ranking, where its records are and how to go on; or all of it as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tune_kd.cli.shown.ranking_tables import print_json, print_tables
from tune_kd.store.ids import base_id

if TYPE_CHECKING:
    from analysis.runs.reading import Records
    from tune_kd.results.outcome import Outcome

DEFAULT_STORE = "./runs"


def show_results(outcome: Outcome, *, store: str, as_json: bool) -> None:
    """Show the study that ``outcome`` is of; ``store`` is the store as it was typed."""
    from analysis.runs.reading import read

    study_id = outcome.study.study_id
    # The whole study, of which a resumed outcome has only what was left.
    records = read(outcome.store, study_id=study_id)
    policies = list(records.runs.sort_values("started_at", kind="stable")["policy"].unique())
    if as_json:
        print_json(document(records, study_id, policies, store))
        return
    print_tables(records, policies)
    print(f"\nThe records are in {store}, study {study_id}.")
    others = set(outcome.store.runs(["study_id"])["study_id"].dropna().map(base_id)) - {base_id(study_id)}
    alone = f" --study {study_id}" if others else ""
    print(f"Go on with: tune-kd report{'' if store == DEFAULT_STORE else f' {store}'}{alone}")


def document(records: Records, study_id: str, policies: list[str], store: str) -> dict[str, Any]:
    """What ``--json`` prints: the study, its runs and its ranking, in base units, null where nothing was measured."""
    from analysis.ranking import ranking
    from analysis.rendering.table import plain

    runs = records.runs[["run_id", "policy", "replicate", "status"]]
    table = ranking(records.outcomes, policies=policies)
    return {
        "study_id": study_id,
        "store": store,
        "runs": plain(runs),
        "table": plain(table),
    }
