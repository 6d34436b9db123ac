"""From Python what ``tune-kd run`` and ``tune-kd compare`` do on the command line, with the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from tune_kd import calibration, extending, resuming
from tune_kd.address import check_address
from tune_kd.cache import cache_at
from tune_kd.errors import InputError
from tune_kd.meter.carbon import carbon
from tune_kd.metering import Metering
from tune_kd.notices import notices
from tune_kd.parts import execute_parts, planned_rows, read_data, say
from tune_kd.plan import Study, plan_study
from tune_kd.progress import Progress
from tune_kd.runner import Execution, Outcome, execute, plan_rows
from tune_kd.store import Store, create_store, open_store
from tune_kd.studies import plan_parts


class Executing(TypedDict, total=False):
    """What everything that trains shares: where it runs and how it is metered, never what is trained."""

    store: str | Path
    cache: str | Path | None
    data_root: str | Path | None  # of data sets with a name: where they lie or are downloaded to
    address: str | None
    cpus_per_trial: float
    gpus_per_trial: float | None
    max_concurrent: int | None
    max_failures: int
    train_teacher: bool  # also where no policy asks it: for its row in the tables
    share_teacher: bool | None  # ask it once for all trials of a run; None: where there may be several
    country: str | None
    carbon_intensity: float | None
    pue: float
    meter_period: float  # seconds between two readings of a node
    cpu_watts: float | None  # the power model's figures, where no counter can be read
    ram_watts_per_gib: float | None
    idle_share: float | None
    progress: Progress | None


class Options(Executing, total=False):
    """What ``run`` and ``compare`` share; every name is also a command-line option."""

    scenario: str | None  # a preset or a TOML file; digits, or images where data is given
    space: str
    budget: str  # a number with its unit: 20trials, 50Wh, 10min, 20trials-equivalent
    track: str  # recipe, budget or target
    target_accuracy: float | None  # of the target track: the validation accuracy at which a run stops
    replicates: int
    seed: int
    data: str | Path | None  # a folder of images
    train_limit: int | None
    settings: Mapping[str, Any] | None  # fields of the scenario: {"recipe.lr": 0.05}


def run(policy: str = "stochastic", **options: Unpack[Options]) -> Outcome:
    """Run one policy. Raises InputError before anything starts, RunFailed and Interrupted after."""
    return _study([policy], "run", options)


def compare(policies: Sequence[str], **options: Unpack[Options]) -> Outcome:
    """Run several policies on the same scenario under the same budget, replicate by replicate."""
    if isinstance(policies, str):
        raise InputError(f"policies must be a list of names, got the text {policies!r}")
    return _study(policies, "compare", options)


def resume(run: str | None = None, *, force: bool = False, **options: Unpack[Options]) -> Outcome:
    """Go on with a run or a study by its id; with the latest unfinished study by default.

    What has ended is not run again, and what was spent stays spent. Raises InputError where data or code are
    not what they were, unless ``force``d.
    """
    given: dict[str, Any] = dict(options)
    progress, execution = given.get("progress") or Progress(), _execution(given)
    store = open_store(given.get("store", "runs"), cache=execution.cache.folder)
    _seal_orphans(store, progress)
    rows = resuming.unfinished_rows(store, run)
    if given.get("country") is None and given.get("carbon_intensity") is None and given.get("pue", 1.0) == 1.0:
        execution = replace(execution, carbon=resuming.recorded_carbon(store, rows) or execution.carbon)
    if execution.metering == Metering():
        execution = replace(execution, metering=resuming.recorded_metering(store, rows) or execution.metering)
    parts, said = resuming.studies_of(rows), set[str]()
    for part in parts:
        of_part = [row for row in rows if row["study_id"] == part.study_id]
        data = read_data(part, execution, progress)
        say(data, progress, said)
        resuming.check_unchanged(of_part, data, force=force)
    return execute_parts(parts, {row["run_id"]: row for row in rows}, store, execution, progress)


def extend(study: str, *, force: bool = False, **options: Unpack[Options]) -> Outcome:
    """Bring a study to ``replicates`` in all: what it has is not run again, the new ones are paired like the old.

    Raises InputError where there is nothing to add, or data or code are not what they were, unless ``force``d.
    """
    given: dict[str, Any] = dict(options)
    store = open_store(given.get("store", "runs"))
    progress, execution = given.get("progress") or Progress(), _execution(given)
    _seal_orphans(store, progress)
    more = extending.extend_study(store, study, given.get("replicates", 1))
    before = extending.study_rows(store, study)
    data = read_data(more, execution, progress)
    say(data, progress, set())
    resuming.check_unchanged(before, data, force=force)
    rows = extending.take_over_changes(plan_rows(more, data, store), more, before)
    return execute(more, rows, data, store, execution, progress)


def study(
    name: str,
    *,
    scale: str = "full",
    sources: Mapping[str, str | Path] | None = None,
    replicates: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    **options: Unpack[Executing],
) -> Outcome:
    """Run one of the paper's tables or figures (:data:`tune_kd.studies.STUDIES`) at the scale full or small.

    ``sources`` has a folder for a data set's name; ``settings`` set fields of every scenario. All data are found and
    all runs planned before the first begins. Raises InputError before that, RunFailed and Interrupted after.
    """
    given: dict[str, Any] = dict(options)
    parts = plan_parts(name, scale=scale, sources=sources, replicates=replicates, seed=seed, settings=settings)
    execution, progress = _before_reading(parts, given)
    rows = planned_rows(parts, execution, progress)
    store = _store(given, execution, progress)
    for row in rows.values():
        store.write_run(row)
    return execute_parts(parts, rows, store, execution, progress)


PLANNED = (
    "scenario",
    "space",
    "budget",
    "track",
    "target_accuracy",
    "replicates",
    "seed",
    "data",
    "train_limit",
    "settings",
)
METERED = ("cpu_watts", "ram_watts_per_gib", "idle_share")
EXECUTED = (
    "address",
    "cpus_per_trial",
    "gpus_per_trial",
    "max_concurrent",
    "max_failures",
    "train_teacher",
    "share_teacher",
)


def _study(policies: Sequence[str], name: str, options: Options) -> Outcome:
    given: dict[str, Any] = dict(options)
    study = plan_study(policies=policies, name=name, **_take(given, PLANNED))
    execution, progress = _before_reading([study], given)
    data = read_data(study, execution, progress)
    say(data, progress, set())
    if study.needs_calibration:
        before = calibration.kept(study, execution, data.split_sha256)
        measured = before or calibration.measure(study, data, execution, progress)
        study = study.calibrated(measured.energy_j)
    store = _store(given, execution, progress)
    return execute(study, plan_rows(study, data, store), data, store, execution, progress)


def _before_reading(parts: Sequence[Study], given: Mapping[str, Any]) -> tuple[Execution, Progress]:
    """Say what is notable about the parts and check where they are to run and be kept, all before data are read."""
    execution, progress = _execution(given), given.get("progress") or Progress()
    for text in notices(parts):
        progress.note(text)
    where = given.get("store", "runs")
    if Path(where).exists():
        # A wrong place is said before minutes of reading; a new one waits for good data.
        create_store(where, cache=execution.cache.folder)
    return execution, progress


def _store(given: Mapping[str, Any], execution: Execution, progress: Progress) -> Store:
    store = create_store(given.get("store", "runs"), cache=execution.cache.folder)
    _seal_orphans(store, progress)
    return store


def _seal_orphans(store: Store, progress: Progress) -> None:
    """Take in what a dead driver left on this store, so that its costs are not lost."""
    for orphan in store.seal_orphans():
        what = orphan.run_id if orphan.trial_id is None else f"{orphan.trial_id}, attempt {orphan.attempt}"
        progress.note(f"left by a driver that died, now sealed as {orphan.status}: {what}")


def _execution(given: Mapping[str, Any]) -> Execution:
    root, cache = given.get("data_root"), cache_at(given.get("cache"))
    if given.get("address") is not None:
        check_address(given["address"])
    cache.check_folder()
    cache.check()
    return Execution(
        cache=cache,
        data_root=None if root is None else Path(root),
        carbon=carbon(given.get("country"), given.get("carbon_intensity"), given.get("pue", 1.0)),
        metering=Metering(period_s=given.get("meter_period", 1.0), **_take(given, METERED)),
        **_take(given, EXECUTED),
    )


def _take(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}
