"""From Python what ``tune-kd run``, ``compare``, ``resume`` and ``study`` do on the command line, with the same names.

The options of the command line are keywords. Those of :class:`tune_kd.planning.plan_options.Planning` say what is
trained and how it is searched, those of :class:`tune_kd.planning.execution_options.Execution` where it runs and how it
is metered. All functions raise InputError before anything starts, for an unknown keyword, too; RunFailed and
Interrupted after.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tune_kd.api.look_after_look import look_after_look, next_look
from tune_kd.config.keywords import from_keywords
from tune_kd.errors import InputError
from tune_kd.execution import calibrate
from tune_kd.execution.comparisons import execute_all, planned_rows
from tune_kd.execution.inputs import read_data, show_data, show_networks
from tune_kd.execution.study import execute
from tune_kd.history import extend as extending
from tune_kd.history import resume as resuming
from tune_kd.history.records import plan_rows
from tune_kd.planning import calibration, durations
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.looks import PLAIN, Deciding
from tune_kd.planning.notices import notices
from tune_kd.planning.paper_options import PaperPlanning
from tune_kd.planning.plan import Study, plan_study
from tune_kd.planning.plan_options import Planning
from tune_kd.progress.asked import with_display
from tune_kd.progress.base import Progress
from tune_kd.results.looks import between_looks
from tune_kd.results.outcome import Outcome
from tune_kd.results.store import RecordedStore, create_store, open_store


@from_keywords
@with_display
def run(policy: str = "stochastic", *, planning: Planning, execution: Execution, progress: Progress) -> Outcome:
    """Run one policy."""
    return _study([policy], "run", planning, PLAIN, execution, progress)


@from_keywords
@with_display
def compare(
    policies: Sequence[str], *, planning: Planning, deciding: Deciding, execution: Execution, progress: Progress
) -> Outcome:
    """Run several policies on the same scenario under the same budget, replicate by replicate.

    With ``until_decided`` replicates are added, look by look, until every policy's verdict against the reference is
    reached, or ``max_replicates``.
    """
    return _study(policies, "compare", planning, deciding, execution, progress)


@from_keywords
@with_display
def resume(run: str | None = None, *, force: bool = False, execution: Execution, progress: Progress) -> Outcome:
    """Resume a run or a study by its id; by default the latest unfinished study.

    Runs and trials that have ended are not run again, and spent budget stays spent. Raises InputError if data or
    code have changed, unless ``force``d.
    """
    store = _earlier_store(execution, progress)
    between = between_looks(store, run)
    rows = resuming.unfinished_rows(store, run) if between is None else extending.study_rows(store, between)
    execution = resuming.as_recorded(execution, store, rows)
    parts, shown = resuming.studies_of(rows), set[str]()
    for part in parts:
        of_part = [row for row in rows if row.study_id == part.study_id]
        data = read_data(part, execution, progress)
        show_data(data, progress, shown)
        show_networks(part.scenario, data, progress, shown)
        resuming.check_unchanged(of_part, data, force=force)
    left = partial(execute_all, parts, {row.run_id: row for row in rows}, store, execution, progress)
    if parts[0].looks is None:
        return left()
    then = partial(next_look, parts[0].study_id, data, store, execution, progress)
    first = left if between is None else then()
    if first is None:
        raise InputError(f"study {parts[0].study_id} is gone on with by another command; resume once that has ended")
    return look_after_look(first, then)


@from_keywords
@with_display
def extend(
    study: str,
    *,
    replicates: int = 1,
    force: bool = False,
    execution: Execution,
    progress: Progress,
) -> Outcome:
    """Bring a study to ``replicates`` in all. Recorded ones are not run again, new ones are paired like them.

    Raises InputError if there is nothing to add, or if data or code have changed, unless ``force``d.
    """
    store = _earlier_store(execution, progress)
    more = extending.extend_study(store, study, replicates)
    before = extending.study_rows(store, study)
    execution = resuming.as_recorded(execution, store, before)
    data = read_data(more, execution, progress)
    show_data(data, progress, set())
    show_networks(more.scenario, data, progress, set())
    resuming.check_unchanged(before, data, force=force)
    rows = plan_rows(more, data, store)
    extending.take_over_changes(rows, before)
    return execute([(more, data)], rows, store, execution, progress)


@from_keywords
@with_display
def study(name: str, *, paper: PaperPlanning, execution: Execution, progress: Progress) -> Outcome:
    """Run one of the paper's tables or figures (:data:`tune_kd.planning.paper_catalogue.STUDIES`), full or small.

    ``data`` (or ``sources``) has a folder for a data set's name; ``set`` (or ``settings``) sets fields of every
    scenario. All data are found and all runs planned before the first begins.
    """
    parts = paper.parts(name)
    _before_reading(parts, execution, progress)
    rows = planned_rows(parts, execution, progress)
    store = _store(execution, progress)
    for row in rows.values():
        row.write(store)
    return execute_all(parts, rows, store, execution, progress)


def _study(
    policies: Sequence[str],
    name: str,
    planning: Planning,
    deciding: Deciding,
    execution: Execution,
    progress: Progress,
) -> Outcome:
    study = plan_study(policies=policies, name=name, planning=planning, deciding=deciding)
    _before_reading([study], execution, progress)
    data = read_data(study, execution, progress)
    show_data(data, progress, set())
    show_networks(study.scenario, data, progress, set())
    if (said := durations.how_long(study, execution)) is not None:
        progress.data_read(said)
    if study.needs_calibration:
        before = calibration.kept(study, execution, data.split_sha256)
        measured = before or calibrate.measure(study, data, execution, progress)
        study = study.calibrated(measured.energy_j)
    store = _store(execution, progress)
    planned = partial(execute, [(study, data)], plan_rows(study, data, store), store, execution, progress)
    if study.looks is None:
        return planned()
    return look_after_look(planned, partial(next_look, study.study_id, data, store, execution, progress))


def _before_reading(parts: Sequence[Study], execution: Execution, progress: Progress) -> None:
    """Note what is notable about the plan, and check cluster, cache and store, all before data are read."""
    execution.check()
    for text in notices(parts):
        progress.note(text)
    if Path(execution.store).exists():
        # A store of no use is refused before minutes of reading; a new one is made after the data are good.
        create_store(execution.store, cache=execution.cache)


def _store(execution: Execution, progress: Progress) -> RecordedStore:
    return _sealed(create_store(execution.store, cache=execution.cache), progress)


def _earlier_store(execution: Execution, progress: Progress) -> RecordedStore:
    """The store of a recorded study."""
    execution.check()
    return _sealed(open_store(execution.store, cache=execution.cache), progress)


def _sealed(store: RecordedStore, progress: Progress) -> RecordedStore:
    """Seal the journals that dead drivers left in the store, so that their costs are not lost."""
    for orphan in store.seal_orphans():
        what = orphan.run_id if orphan.trial_id is None else f"{orphan.trial_id}, attempt {orphan.attempt}"
        progress.note(f"left by a driver that died, now sealed as {orphan.status}: {what}")
    return store
