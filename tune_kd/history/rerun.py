"""Repeats a trial from its record, and hands out the student that a run chose."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from policies import Policy
from tune_kd.cluster import code
from tune_kd.config import catalogue, policy_file
from tune_kd.config.scenario import from_record
from tune_kd.data import ImageData
from tune_kd.data.batches import steps_per_epoch
from tune_kd.errors import InputError, unknown
from tune_kd.meter.carbon import carbon
from tune_kd.meter.power_model import detect
from tune_kd.meter.process import ProcessMeter
from tune_kd.progress.base import Progress
from tune_kd.storage.cache import Cache, cache_at
from tune_kd.storage.checkpoints import checkpoint_name
from tune_kd.store import Store
from tune_kd.tasks.classification import load_data
from tune_kd.training.examination import examine
from tune_kd.training.process import as_in_a_worker, device
from tune_kd.training.step import ever_asks_teacher
from tune_kd.training.teacher import Teacher, kept_or_trained, obtain_teacher
from tune_kd.training.trial import Place, Trial, TrialSpec

# What a repeated training must give again. Times and energy are of the machine and its moment.
RESULTS = ("checkpoint_epoch", "val_accuracy", "val_loss", "test_accuracy", "confusion")


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """A repeated trial: its results beside the recorded ones."""

    trial_id: str
    recorded: dict[str, Any]
    repeated: dict[str, Any]
    surroundings: tuple[str, ...]  # what was not as it had been: code, packages, data, teacher

    @property
    def differences(self) -> tuple[str, ...]:
        """A line for each result that did not come out as recorded; none when the trial repeats."""
        return tuple(
            f"{name}: {self.recorded[name]} recorded, {self.repeated[name]} now"
            for name in RESULTS
            if self.recorded[name] != self.repeated[name]
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
    trial = _trial_row(store, trial_id)
    run = _row(store.runs(run_ids=[trial["run_id"]]), "run_id", trial["run_id"])
    spec = _spec(trial, run)
    scenario = spec.scenario
    progress.stage("reading the data")
    data = load_data(scenario, home.folder, data_root)
    cpus, gpus = run["cpus_per_trial"] or 1.0, run["gpus_per_trial"] or 0.0
    checkpoint = home.folder / checkpoint_name("rerun", trial_id)
    checkpoint.unlink(missing_ok=True)
    meter = ProcessMeter(detect(), cpus)
    place = Place(device=device(gpus), meter=meter, carbon=carbon(), node_id="here", checkpoint=checkpoint)
    # A trial that was stopped early is repeated as far as it went.
    recorded_reports = store.reports(run_ids=[trial["run_id"]])
    reached = recorded_reports[recorded_reports.trial_id == trial_id].epoch.max()
    with as_in_a_worker(cpus):
        teacher = _teacher(home, data, spec, place, progress)
        progress.stage(f"training {trial_id} again, {scenario.recipe.epochs} epochs")
        network = None if teacher is None else teacher.network(scenario, data)
        reports = Trial(spec, data, network, place).fit()
        last = next(report for report in reports if report.epoch == reached)
        tested = examine(
            scenario.student,
            checkpoint,
            data,
            precision=scenario.precision,
            device=place.device,
            meter=meter,
            carbon=place.carbon,
        )
    checkpoint.unlink()
    return Repeat(
        trial_id=trial_id,
        recorded={name: _plain(trial[name]) for name in RESULTS},
        repeated={name: _plain({**vars(last), **tested}[name]) for name in RESULTS},
        surroundings=_surroundings(run, spec.policy, data.split_sha256, teacher),
    )


def _spec(trial: dict[str, Any], run: dict[str, Any]) -> TrialSpec:
    """What the trial was, as its worker was told."""
    return TrialSpec(
        run_id=trial["run_id"],
        trial_id=trial["trial_id"],
        index=int(trial["index"]),
        replicate_seed=int(run["seed"]),
        scenario=from_record(run["scenario_json"]),
        policy=catalogue.policy_from_record(run["policy_json"]),
        params=json.loads(trial["params_json"]),
    )


def _teacher(home: Cache, data: ImageData, spec: TrialSpec, place: Place, progress: Progress) -> Teacher | None:
    """The teacher that the trial asks; None if it asks none."""
    scenario = spec.scenario
    temperature = spec.policy.temperature(spec.params, spec.seed)
    if not ever_asks_teacher(temperature, scenario, steps_per_epoch(len(data.train), scenario.recipe.batch_size)):
        return None
    train = partial(obtain_teacher, scenario, data, device=place.device, meter=place.meter)
    return kept_or_trained(scenario, data, home, train, progress.stage)


def _trial_row(store: Store, trial_id: str) -> dict[str, Any]:
    trials = store.trials(run_ids=[trial_id.rpartition("-")[0]])
    ended = trials[trials.status.isin(["completed", "stopped"])]
    if trial_id not in set(ended.trial_id):
        if trial_id in set(trials.trial_id):
            raise InputError(f"trial {trial_id} did not end well, so there is no result to repeat")
        raise unknown("trial", trial_id, store.trials(["trial_id"]).trial_id)
    return _row(ended, "trial_id", trial_id)


def _row(frame: Any, key: str, value: str) -> dict[str, Any]:
    found = frame[frame[key] == value]
    if found.empty:
        raise unknown(key.removesuffix("_id"), value, frame[key])
    return {str(name): cell for name, cell in found.iloc[-1].items()}


def _plain(value: Any) -> Any:
    """A cell as plain Python, so that a record's list equals a fresh one."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _surroundings(run: dict[str, Any], policy: Policy, split_sha256: str, teacher: Teacher | None) -> tuple[str, ...]:
    """What is not as it was. A user's policy is repeated as its record has it, also where its file has changed."""
    here = {
        "policy_sha256": catalogue.policy_sha256(policy, now=True),
        "split_sha256": split_sha256,
        **({} if teacher is None else {"teacher_id": teacher.teacher_id}),
        **code.code(),
    }
    return tuple(f"{name}: {run[name]} then, {now} now" for name, now in here.items() if run[name] != now)
