"""Merging: the records of several stores, a laptop's and a cluster's, in one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from typing import Any

from tune_kd.errors import StoreError
from tune_kd.store.columns import TABLES
from tune_kd.store.files import manifest as manifests
from tune_kd.store.files import names
from tune_kd.store.files.local_files import Files
from tune_kd.store.reading.reader import Reader, Snapshot
from tune_kd.store.sql import listed, literal, quoted
from tune_kd.store.upkeep.packing import maintenance, pack
from tune_kd.store.upkeep.settle import settle
from tune_kd.store.writing import sealing

Row = dict[str, Any]
Key = tuple[str, int]  # trial_id, attempt

PROGRESS = {"status", "error", "spent", "overshoot", "started_at", "ended_at"}
PROGRESS |= {"code_version", "code_revision", "code_dirty", "forced_changes"}
"""Columns of a run that change while it goes on. In the others two copies may differ by nulls only."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The result of a merge, by run id."""

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)  # were there, and the other copy had gone further
    known: list[str] = field(default_factory=list)  # were there, with all that the other copy knew


def merge(target: Reader, sources: Sequence[Reader]) -> Merged:
    """Bring all runs of ``sources`` into ``target``; a run that is there already is recognised by its id.

    Raises StoreError, before anything is written, when two stores hold a run, a trial or its reports with different
    content. An interrupted merge can be made again.
    """
    for left, right in combinations([target, *sources], 2):
        _refuse_conflicts(left, right)
    merged = Merged()
    with maintenance(target.files):
        for source in sources:
            settle(target)
            mine, theirs = _runs(target), _runs(source)
            common = sorted(mine.keys() & theirs.keys())
            _add(target.files, source, common)
            merged.added.extend(sorted(theirs.keys() - mine.keys()))
            further = _update(target, source, common)
            merged.updated.extend(further)
            merged.known.extend(sorted(set(common) - set(further)))
    return merged


def _refuse_conflicts(left: Reader, right: Reader) -> None:
    ours, theirs = _runs(left), _runs(right)
    places = f"{left.files.where} and {right.files.where}"
    common = sorted(ours.keys() & theirs.keys())
    for run_id in common:
        for name in sorted(ours[run_id].keys() - PROGRESS - {"schema_version"}):
            pair = ours[run_id][name], theirs[run_id][name]
            if None not in pair and str(pair[0]) != str(pair[1]):  # as text, in which NaN is NaN
                raise StoreError(f"run {run_id} is not the same in {places}: {name} is {_short(pair)}")
    mine, others = _digests(left, common), _digests(right, common)
    for key in sorted(mine.keys() & others.keys()):
        if mine[key] != others[key]:
            raise StoreError(f"attempt {key[1]} at trial {key[0]} is not the same in {places}")


def _add(target: Files, source: Reader, common: Sequence[str]) -> None:
    """Publish all runs of ``source`` but the common ones, in one switch of the target's manifest."""
    before = manifests.read(target)

    def packed_anew(snapshot: Snapshot) -> dict[str, dict[str, int]]:
        without = [*common, *snapshot.manifest.removed_runs]
        return {
            table: pack(target, table, before.generation + 1, parts, without_runs=without)
            for table, parts in snapshot.tables.items()
        }

    written = source.consistent(list(TABLES), packed_anew)
    if any(written.values()):
        packed = {table: {**before.packed.get(table, {}), **written[table]} for table in TABLES}
        manifests.write(target, before.next(packed=packed))


def _update(target: Reader, source: Reader, common: Sequence[str]) -> list[str]:
    """Bring the records of common runs that only ``source`` has; the ids of these runs."""
    missing = sorted(_digests(source, common).keys() - _digests(target, common).keys())
    for table in ("reports", "trials"):  # the trial's row last: it is the commit
        rows = _rows(source, table, f"(trial_id, attempt) IN {_pairs(missing)}", "trial_id, attempt") if missing else []
        for (trial_id, attempt), group in groupby(rows, key=lambda row: (row["trial_id"], row["attempt"])):
            sealing.put_rows(target.files, table, names.attempt_file(table, trial_id, attempt), list(group))
    mine, theirs = _runs(target), _runs(source)
    later = [run_id for run_id in common if _ended(theirs[run_id]) > _ended(mine[run_id])]
    for node in _rows(source, "nodes", f"run_id IN {listed(later)}", "run_id") if later else []:
        sealing.put_rows(target.files, "nodes", names.node_file(node["run_id"], node["node_id"]), [node])
    for run_id in later:
        sealing.put_rows(target.files, "runs", names.run_file(run_id), [theirs[run_id]])
    return sorted({trial_id.rpartition("-")[0] for trial_id, _ in missing} | set(later))


def _digests(reader: Reader, run_ids: Collection[str]) -> dict[Key, str]:
    """Of every attempt at the runs' trials, a digest of its row and of its reports."""
    if not run_ids:
        return {}
    wanted = f"run_id IN {listed(run_ids)}"
    rows = reader.rows(
        f"""
        SELECT trial_id, attempt, {_digest("trials")} || coalesce(reported, '') AS digest
        FROM trials LEFT JOIN (
            SELECT trial_id, attempt, md5(string_agg({_digest("reports")}, '' ORDER BY epoch)) AS reported
            FROM reports WHERE {wanted} GROUP BY trial_id, attempt
        ) USING (trial_id, attempt)
        WHERE {wanted}
        """,
        ["trials", "reports"],
    )
    return {(row["trial_id"], row["attempt"]): row["digest"] for row in rows.to_pylist()}


def _digest(table: str) -> str:
    """A row's content as SQL. The schema's version is not content: reading brings every row to today's."""
    names = (column.name for column in TABLES[table] if column.name != "schema_version")
    qualified = (f"{literal(name)}: {table}.{quoted(name)}" for name in names)
    return f"md5(({{{', '.join(qualified)}}})::VARCHAR)"


def _rows(reader: Reader, table: str, where: str, order: str) -> list[Row]:
    rows: list[Row] = reader.rows(f"SELECT * FROM {table} WHERE {where} ORDER BY {order}", [table]).to_pylist()
    return rows


def _runs(reader: Reader) -> dict[str, Row]:
    return {row["run_id"]: row for row in _rows(reader, "runs", "true", "run_id")}


def _ended(run: Row) -> float:
    return run["ended_at"].timestamp() if run["ended_at"] else float("-inf")


def _pairs(keys: Iterable[Key]) -> str:
    return f"({', '.join(f'({literal(trial_id)}, {attempt})' for trial_id, attempt in keys)})"


def _short(values: Iterable[object]) -> str:
    return " and ".join(f"{str(value)[:60]!r}" for value in values)
