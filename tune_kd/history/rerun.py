"""Repeats a recorded trial and compares the results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tune_kd.config import policy_file
from tune_kd.data import ImageData
from tune_kd.data.batches import steps_per_epoch
from tune_kd.data.shared_memory import from_shared
from tune_kd.history.records import RunRow, run_row
from tune_kd.history.trial_results import RESULTS, results, trial_row
from tune_kd.meter.carbon import carbon
from tune_kd.meter.power_model import detect
from tune_kd.meter.process import ProcessMeter
from tune_kd.progress.base import Progress
from tune_kd.storage import in_use
from tune_kd.storage.cache import Cache, cache_at
from tune_kd.storage.checkpoints import checkpoint_name, checkpoints_folder
from tune_kd.store import Store
from tune_kd.synthesis.growing import GrowingPool
from tune_kd.synthesis.pool import (
    PoolFiles,
    pool_folder,
    pool_id,
    training_images,
    trial_pool,
    trial_pools,
    with_pool,
    without_images,
)
from tune_kd.synthesis.synthesise import Synthesiser, wanted_of
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.examination import examine
from tune_kd.training.process import as_in_a_worker, device
from tune_kd.training.step import ever_asks_teacher
from tune_kd.training.student import TrialSpec
from tune_kd.training.teacher import Teacher, kept_or_trained, obtain_teacher
from tune_kd.training.trial import Place, Trial


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """A repeated trial: its results beside the recorded ones."""

    trial_id: str
    recorded: dict[str, Any]
    repeated: dict[str, Any]
    surroundings: tuple[str, ...]  # a line for each that has changed: code, policy, data, teacher, company

    @property
    def differences(self) -> tuple[str, ...]:
        """A line for each result that is not as recorded; none if the trial repeats."""
        return tuple(
            f"{name}: {self.recorded.get(name)} recorded, {self.repeated.get(name)} now"
            for name in RESULTS
            if self.recorded.get(name) != self.repeated.get(name)
        )


@policy_file.explained()
def rerun(
    trial_id: str,
    *,
    store: Store,
    cache: str | Path | None = None,
    data_root: Path | None = None,
    progress: Progress | None = None,
) -> Repeat:
    """Train a recorded trial once more, here and without Ray, and compare. Nothing is written to the store.

    Raises InputError for a trial that is not in the store or did not end.
    """
    progress, home = progress or Progress(), cache_at(cache)
    home.check()
    trial = trial_row(store, trial_id)
    run = run_row(store, trial["run_id"])
    spec = _spec(trial, run)
    progress.stage("reading the data")
    data = task_of(spec.scenario).load(spec.scenario, home.folder, data_root)
    reserved, checkpoint = run.reserved, home.folder / checkpoint_name("rerun", trial_id)
    checkpoint.unlink(missing_ok=True)
    place = Place(
        device=device(reserved.gpus),
        meter=ProcessMeter(detect(), reserved.cpus),
        carbon=carbon(),
        node_id="here",
        checkpoint=checkpoint,
    )
    used = [checkpoints_folder("rerun"), trial_pools("rerun")]
    with in_use.using(home.folder, "rerun", trial_id, used), as_in_a_worker(reserved.cpus):
        teacher = _teacher(home, data, spec, place, progress)
        seen, growing = _images(home, data, spec, teacher, place, progress)
        progress.stage(f"training {trial_id} again, {spec.scenario.trial_epochs} epochs")
        repeated = _trained_again(spec, seen, teacher, place, checkpoint, _last_epoch(store, trial), growing)
    checkpoint.unlink()
    home.kept.remove_folder(trial_pool("rerun", trial_id))  # its own: another trial may be trained again meanwhile
    return Repeat(
        trial_id=trial_id,
        recorded=results(trial),
        repeated=results(repeated),
        surroundings=(
            *run.changes(data, None if teacher is None else teacher.teacher_id).values(),
            *_company(trial),
        ),
    )


def _company(trial: Mapping[str, Any]) -> list[str]:
    """A line for a trial that was trained as one with others: alone its sums are rounded in another way."""
    before = trial["side_by_side"] or 1
    return [f"side_by_side: {before} then, 1 now"] if before > 1 else []


def _trained_again(
    spec: TrialSpec,
    data: ImageData,
    teacher: Teacher | None,
    place: Place,
    checkpoint: Path,
    epoch: int,
    growing: GrowingPool | None,
) -> dict[str, Any]:
    """The columns of the report of ``epoch``, 1 is the first, and of the test of the checkpoint then."""
    scenario = spec.scenario
    network = None if teacher is None else teacher.network(scenario, data)
    last = next(report for report in Trial(spec, data, network, place, growing=growing).fit() if report.epoch == epoch)
    tested = examine(scenario, checkpoint, data, device=place.device, meter=place.meter, carbon=place.carbon)
    return {**vars(last), **tested}


def _images(
    home: Cache, data: ImageData, spec: TrialSpec, teacher: Teacher | None, place: Place, progress: Progress
) -> tuple[ImageData, GrowingPool | None]:
    """The data with the trial's synthesised images, which are made again where they are no longer in the cache.

    Images that are made against the student are made again in any case, while it is trained.
    """
    scenario, seed = spec.scenario, spec.replicate_seed
    if scenario.synthesis is None or teacher is None:
        return data, None
    identity = pool_id(
        scenario, teacher.teacher_id, seed, data_sha256=data.split_sha256, gpu=place.device.type != "cpu"
    )
    alone, seen = scenario.synthesis.reads_student, without_images(data, scenario)
    folder = trial_pool("rerun", spec.trial_id) if alone else pool_folder(identity)
    if alone:
        home.kept.remove_folder(folder)
    else:
        progress.stage(f"synthesising images by {scenario.synthesis.method}, unless they are kept")
    synthesiser = Synthesiser(
        wanted_of(scenario, seen, seed),
        teacher.network(scenario, data).to(place.device),
        PoolFiles(lambda name: home.kept.place(f"{folder}/{name}")),
        device=place.device,
        meter=place.meter,
        carbon=place.carbon,
        training_images=lambda: from_shared(data.train.images),
    )
    if alone:
        return seen, GrowingPool(synthesiser, scenario.trial_epochs)
    synthesiser.complete()
    pool = synthesiser.files.read()
    assert pool is not None, "it was just made"
    return with_pool(seen, pool, scenario), None


def _last_epoch(store: Store, trial: Mapping[str, Any]) -> int:
    """The last recorded epoch of a trial: one that was stopped early is repeated as far as it went."""
    reports = store.reports(run_ids=[trial["run_id"]])
    return int(reports[reports.trial_id == trial["trial_id"]].epoch.max())


def _spec(trial: Mapping[str, Any], run: RunRow) -> TrialSpec:
    """The trial as its worker was given it."""
    return TrialSpec(
        run_id=run.run_id,
        trial_id=trial["trial_id"],
        index=int(trial["index"]),
        replicate_seed=run.seed,
        scenario=run.scenario,
        policy=run.policy,
        params=json.loads(trial["params_json"]),
    )


def _teacher(home: Cache, data: ImageData, spec: TrialSpec, place: Place, progress: Progress) -> Teacher | None:
    """The teacher that the trial asks, or that its images are made out of; None if it needs none."""
    scenario = spec.scenario
    temperature = spec.policy.temperature(spec.params, spec.seed)
    steps = steps_per_epoch(training_images(scenario, data), scenario.recipe.batch_size)
    if scenario.synthesis is None and not ever_asks_teacher(temperature, scenario, steps):
        return None
    train = partial(obtain_teacher, scenario, data, device=place.device, meter=place.meter)
    return kept_or_trained(scenario, data, home, train, progress.stage)
