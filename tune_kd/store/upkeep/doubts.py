"""Packed files without a digest of the sealed rows: faults that their rows show by themselves.

An older tune-kd read a folder named ``seed=3`` above a store as data, and packed 3 for every row's seed for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tune_kd.config.seeds import replicate_seed
from tune_kd.store.columns import KEYS, RUN_STATUSES, TRIAL_STATUSES
from tune_kd.store.files import stamp
from tune_kd.store.files.stamp import Fault
from tune_kd.store.reading import views
from tune_kd.store.reading.views import Part
from tune_kd.store.schema import SCHEMAS
from tune_kd.store.sql import listed, literal, quoted

if TYPE_CHECKING:
    import duckdb

_OLDER = "an older tune-kd packed it and did not keep what had been sealed"
_SLUG = "trim(regexp_replace(lower(policy), '[^a-z0-9]+', '-', 'g'), '-')"
_OF_ANOTHER_RUN = (
    "a trial's id does not name its run",
    "regexp_extract(trial_id, '^(.*)-[0-9]+$', 1) != run_id",
)

# For each table, rows that cannot be in any store: in words, and as a condition that such rows meet.
_IMPOSSIBLE: dict[str, list[tuple[str, str]]] = {
    "runs": [
        ("a status is none of a run", f"status NOT IN {listed(RUN_STATUSES)}"),
        (
            "a scenario is not that of its JSON",
            "json_extract_string(scenario_json, '$.name') != scenario",
        ),
        (
            "a run's id does not name its policy and replicate",
            f"starts_with(run_id, study_id || '-') AND run_id != study_id || '-' || {_SLUG} || '-r' || replicate",
        ),
    ],
    "trials": [
        _OF_ANOTHER_RUN,
        ("a status is none of a trial", f"status NOT IN {listed(TRIAL_STATUSES)}"),
        (
            "a trial's id does not name its index",
            "TRY_CAST(regexp_extract(trial_id, '-([0-9]+)$', 1) AS BIGINT) != \"index\"",
        ),
        (
            "the trials of a run have one seed",
            'run_id IN (SELECT run_id FROM trials GROUP BY run_id HAVING count(DISTINCT "index") > 1 '
            "AND count(DISTINCT seed) = 1)",
        ),
    ],
    "reports": [_OF_ANOTHER_RUN],
    "nodes": [],
}


def contradictions(table: str, parts: Sequence[Part]) -> list[Fault]:
    """The packed files without a digest whose rows cannot be those that were sealed."""
    return [
        Fault(file=f"{table}/{part.path.name}", kind="contradictory", detail="; ".join(found))
        for part in _unknown(parts)
        if (found := [*_found(table, part)])
    ]


def uncompared(table: str, parts: Sequence[Part]) -> list[Fault]:
    """The packed files without a digest, with the columns that the folders above them may have changed."""
    return [
        Fault(
            file=f"{table}/{part.path.name}",
            kind="not compared",
            detail="; ".join([_OLDER, *_feared(table, part)]),
        )
        for part in _unknown(parts)
    ]


def _unknown(parts: Sequence[Part]) -> Iterator[Part]:
    return (part for part in parts if part.packed and stamp.sealed_rows(part.path) is None)


def _found(table: str, part: Part) -> Iterator[str]:
    keys = ", ".join(map(quoted, KEYS[table]))
    twice = f"({keys}) IN (SELECT ({keys}) FROM {table} GROUP BY {keys} HAVING count(*) > 1)"
    with views.session({table: [part]}, opened=True) as connection:
        for words, condition in [*_IMPOSSIBLE[table], (f"rows have the same {', '.join(KEYS[table])}", twice)]:
            if connection.sql(f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1").fetchall():
                yield words
        if table == "runs" and _has_another_seed(connection):
            yield "a run's seed is not that of its study_seed and replicate"


def _has_another_seed(connection: duckdb.DuckDBPyConnection) -> bool:
    seeds = "SELECT DISTINCT study_seed, replicate, seed FROM runs WHERE study_seed >= 0 AND replicate >= 0"
    return any(seed != replicate_seed(study, replicate) for study, replicate, seed in connection.sql(seeds).fetchall())


def _feared(table: str, part: Part) -> Iterator[str]:
    """Of each folder KEY=VALUE above the file, whether every row has that value in that column."""
    with views.session({table: [part]}, opened=True) as connection:
        for folder in part.path.parent.parts:
            key, equals, value = folder.partition("=")
            if not equals or key not in SCHEMAS[table].names:
                continue
            other = f"{quoted(key)}::VARCHAR IS DISTINCT FROM {literal(unquote(value))}"
            if not connection.sql(f"SELECT 1 FROM {table} WHERE {other} LIMIT 1").fetchall():
                yield f"every row's {key} is {unquote(value)!r}, as in the name of the folder {folder!r} above it"
