"""The runs of a store, and one run of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tune_kd.errors import unknown
from tune_kd.store.ids import base_id
from tune_kd.store.reading.incumbents import incumbents
from tune_kd.store.reading.reader import Reader, to_pandas

if TYPE_CHECKING:
    import pandas as pd

_RUNS = """
    SELECT run_id, study_id, scenario, metric, policy, replicate, status, started_at, trials, failed, epochs,
           CASE WHEN unmeasured = 0 AND (shared_energy_j IS NOT NULL OR coalesce(shared_flops, 0) = 0)
                THEN spent_j + coalesce(shared_energy_j, 0) END AS energy_j, best_val_score
    FROM runs LEFT JOIN (
        SELECT run_id, count(DISTINCT trial_id) AS trials, sum(epochs)::BIGINT AS epochs, sum(energy_j) AS spent_j,
               count(*) FILTER (energy_j IS NULL AND epochs > 0) AS unmeasured,
               count(*) FILTER (status IN ('failed', 'lost')) AS failed,
               max(val_score) FILTER (status IN ('completed', 'stopped')) AS best_val_score
        FROM trials GROUP BY run_id
    ) USING (run_id)
    ORDER BY started_at NULLS LAST, run_id
"""


LATEST = "latest"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """All records of one run."""

    run: dict[str, Any]
    trials: pd.DataFrame
    nodes: pd.DataFrame


def list_runs(reader: Reader) -> pd.DataFrame:
    """One row a run, the oldest first: its setting, its progress, and the energy of its trials and of what they share.

    ``trials`` counts started trials, ``failed`` the attempts that failed or were lost. The energy is null where a part
    of it was not measured. The best score is one that the incumbent may have: of a trial that ended well.
    """
    return to_pandas(reader.rows(_RUNS, ["runs", "trials"]))


def show_run(reader: Reader, run_id: str) -> RunRecord:
    """One run with its trials and nodes. Raises InputError, with the nearest, for a run that is not there."""
    require_run(reader, run_id)
    [run] = reader.rows("SELECT * FROM runs", ["runs"], runs=[run_id]).to_pylist()
    trials, nodes = (reader.frame(table, run_ids=[run_id]) for table in ("trials", "nodes"))
    return RunRecord(run=run, trials=trials, nodes=nodes)


def incumbent(reader: Reader, run_id: str) -> str | None:
    """The id of the run's incumbent; None if no trial of it has ended well."""
    best = incumbents(reader.frame("trials", run_ids=[run_id]))
    return None if best.empty else str(best.at[run_id, "trial_id"])


def named(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of a run, or of a study with all its parts; ``runs`` have ``run_id`` and ``study_id``.

    Raises InputError, with the nearest, for a name that is neither's.
    """
    studies = runs["study_id"].fillna("")
    found = runs[(runs["run_id"] == name) | (studies == name) | (studies.map(base_id) == name)]
    if found.empty:
        raise unknown("run or study", name, {*runs["run_id"], *runs["study_id"].dropna()})
    return found


def of_study(runs: pd.DataFrame, study: str) -> pd.DataFrame:
    """The rows of one study with all its parts; ``runs`` have ``study_id`` and ``study``.

    ``study`` is its id, its name (of several studies with that name the latest is meant), or :data:`LATEST`. Raises
    InputError, with the nearest, for a study that is not there.
    """
    ids, names = runs["study_id"].fillna(""), runs["study"].fillna("")
    whole = ids.map(base_id)  # ids begin with the time at which they were planned
    found = (ids == study) | (whole == study)
    if not found.any():
        mine = whole if study == LATEST else whole[names == study]
        found = whole == mine.max()
    if not found.any():
        raise unknown("study", study, {LATEST, *whole[whole != ""], *names[names != ""]})
    return runs[found]


def require_run(reader: Reader, run_id: str) -> None:
    """Raises InputError for a run that is not in the store."""
    if len(reader.rows("SELECT run_id FROM runs", ["runs"], runs=[run_id])):
        return
    raise unknown("run", run_id, reader.frame("runs", ["run_id"])["run_id"])
