"""The functions that Ray's workers run: the jobs of a study's pool. :mod:`tune_kd.cluster.tasks` has what runs beside.

A job is a trial, the test of an ended trial's checkpoint, the synthesis of the pool of images that trials share, or a
part of the teacher's outputs that they share.

A worker imports such a function by name, and with it ``tune_kd``, before any argument is unpickled. That import puts
the finder of our packages (:mod:`tune_kd.own_packages`) in place, whatever folder Ray has put on the path.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import ray
import torch
from ray import tune

from tune_kd import events
from tune_kd.budget.cost import Cost
from tune_kd.cluster.shared import (
    Shared,
    checkpoint_place,
    data_of,
    meter_here,
    once,
    outputs_of,
    pool_files,
    this_node,
    wait_if_late,
)
from tune_kd.config import catalogue, policy_file
from tune_kd.data import ImageData
from tune_kd.data.shared_memory import from_shared
from tune_kd.meter.base import Meter
from tune_kd.meter.client import TrialMeter, account
from tune_kd.models import fast
from tune_kd.synthesis.growing import GrowingPool
from tune_kd.synthesis.pool import trial_pool
from tune_kd.synthesis.synthesise import Synthesiser, SynthesisFailed, wanted_of
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.examination import examine
from tune_kd.training.phases import Phases, Share
from tune_kd.training.process import device, prepare_process
from tune_kd.training.side_by_side import SideBySide
from tune_kd.training.student import TrialSpec
from tune_kd.training.teacher import Teacher
from tune_kd.training.teacher_outputs import teach
from tune_kd.training.trial import Place, Trial

NO_SCORE = {"val_score": 0.0, "epoch": 0}
"""Tune wants its metric in every result; the jobs that have none are shown to no scheduler."""


def work(config: Mapping[str, Any]) -> None:
    """Ray Tune's function: one job of a run.

    ``config`` has ``job``, a key of :data:`JOBS`, ``shared``, a reference to the run's :class:`Shared`, and what that
    job takes.
    """
    shared: Shared = ray.get(config["shared"])
    several = len(config.get("members", ())) > 1
    prepare_process(shared.cpus, quantizes=shared.scenario.quantization is not None, stacks=several)
    JOBS[config["job"]](config, shared)


@policy_file.explained()
def train_students(config: Mapping[str, Any], shared: Shared) -> None:
    """A trial, or several side by side, each epoch reported.

    ``config``: members, for each trial index, trial_id, attempt, reported and params; and awaited.
    """
    late_s = wait_if_late(shared)
    policy = catalogue.policy_from_record(shared.policy_json)
    specs = [
        TrialSpec(
            run_id=shared.run_id,
            replicate_seed=shared.replicate_seed,
            scenario=shared.scenario,
            policy=policy,
            **member,
        )
        for member in config["members"]
    ]
    teacher: Teacher | None = ray.get(shared.teacher)
    accounts = [account(spec.trial_id, spec.attempt) for spec in specs]
    meter = meter_here(*accounts, cpus=shared.cpus, run_id=shared.run_id, wait_s=late_s)
    try:
        data, synthesis, growing = _images_of(specs[0], shared, meter)
        network = None if teacher is None else teacher.network(shared.scenario, data)
        outputs = outputs_of(shared, config["awaited"])

        def trial(spec: TrialSpec, of_trial: Meter, **beside: Any) -> Trial:
            place = Place(
                device=device(shared.gpus),
                meter=of_trial,
                carbon=shared.carbon,
                node_id=this_node(),
                checkpoint=checkpoint_place(shared, spec.trial_id),
            )
            return Trial(spec, data, network, place, shared.counted, outputs, synthesis, growing, **beside)

        if len(specs) == 1:
            results = results_of(trial(specs[0], meter))
        else:
            results = results_of_several(specs, meter, trial, device(shared.gpus))
        for result in results:
            tune.report({**result, "unmeasured": meter.failure})
    finally:
        meter.close()  # on a stop, too, where Tune raises SystemExit: it takes milliseconds


def _images_of(spec: TrialSpec, shared: Shared, meter: TrialMeter) -> tuple[ImageData, Cost | None, GrowingPool | None]:
    """What a trial is trained on, what it cost the trial itself to make, and the pool that it makes meanwhile."""
    wanted = spec.scenario.synthesis
    if wanted is None or shared.pool is not None:
        return data_of(shared, shared.pool), None, None
    folder = trial_pool(spec.run_id, spec.trial_id)
    synthesiser = _synthesiser(shared, folder, meter)
    if wanted.reads_student:
        return data_of(shared, None), None, GrowingPool(synthesiser, spec.scenario.trial_epochs)
    cost = synthesiser.complete()
    return data_of(shared, folder), cost, None


def results_of(trial: Trial) -> Iterator[dict[str, Any]]:
    """The results for Tune: each report, with the metrics that a scheduler uses.

    If all epochs were reported before, only the last metrics, once more: schedulers reject a trial that ends without.
    """
    report = None
    for report in trial.fit():
        yield {"reports": [events.to_json(report)], **_for_scheduler(report)}
    if report is None and trial.last is not None:
        yield _for_scheduler(trial.last)


def results_of_several(
    specs: Sequence[TrialSpec], meter: TrialMeter, make: Callable[..., Trial], where: torch.device
) -> Iterator[dict[str, Any]]:
    """The results of trials side by side, which no scheduler sees: the reports of an epoch in one result.

    ``make`` makes a trial of its spec and its meter. A trial that has ended before the others pays no more.
    """
    clock, trials, told = Phases(where), list[Trial](), False
    for spec, of_trial in zip(specs, meter.members, strict=True):
        trials.append(make(spec, of_trial, phases=Share(clock), beside=trials[0] if trials else None))
    unpaid = dict(zip((spec.trial_id for spec in specs), meter.members, strict=True))
    for reports in SideBySide(trials, clock).fit():
        yield {"reports": [events.to_json(report) for report in reports], **NO_SCORE}
        told = True
        over = {trial.spec.trial_id for trial in trials if trial.over}
        for trial_id in unpaid.keys() & over if len(over) < len(trials) else ():
            unpaid.pop(trial_id).close()
    if not told:  # all epochs were reported before, and Tune wants a result
        yield NO_SCORE


def _for_scheduler(report: events.EpochReport) -> dict[str, Any]:
    return {"val_score": report.val_score, "epoch": report.epoch}


def examine_students(config: Mapping[str, Any], shared: Shared) -> None:
    """Test the checkpoints of ended trials, the one time that their test set is read; their columns are reported.

    ``config``: tests, for each trial_id and attempt.
    """
    late_s = wait_if_late(shared)
    tune.report({"outcome": [_examined(test, shared, late_s) for test in config["tests"]], **NO_SCORE})


def _examined(test: Mapping[str, Any], shared: Shared, late_s: float) -> dict[str, Any]:
    name = once(f"{account(test['trial_id'], test['attempt'])} test")
    meter = meter_here(name, cpus=shared.cpus, run_id=shared.run_id, wait_s=late_s)
    place, data = checkpoint_place(shared, test["trial_id"]), ray.get(shared.tested_on)
    columns = examine(shared.scenario, place, data, device=device(shared.gpus), meter=meter, carbon=shared.carbon)
    return {**columns, "energy_test_j": meter.close().total_j}


def compute_outputs(config: Mapping[str, Any], shared: Shared) -> None:
    """Compute and keep the teacher's outputs for all batches of some epochs, and what each has cost.

    ``config``: epochs, 0 is the first.
    """
    late_s, started = wait_if_late(shared), time.perf_counter()
    what, where, epochs = shared.scenario, device(shared.gpus), config["epochs"]
    name = once(f"{shared.run_id} teacher outputs from epoch {epochs[0]}")
    meter = meter_here(name, cpus=shared.cpus, run_id=shared.run_id, wait_s=late_s)
    data, teacher = data_of(shared, shared.pool), ray.get(shared.teacher)
    network = fast.through(fast.for_inference(teacher.network(what, data), where), compiled=what.compile)
    part = task_of(what).on_device(data.train, where)
    outputs = outputs_of(shared)
    assert outputs is not None, "only a run that shares starts this"
    asked = 0
    for epoch in epochs:
        logits = teach(network, part, data, what, seed=shared.replicate_seed, epoch=epoch)
        outputs.write(epoch, logits)
        asked += len(logits)
    energy_j = meter.close().total_j
    cost = Cost(
        flops=shared.counted.teacher.forward * asked,
        duration_s=time.perf_counter() - started,
        energy_j=energy_j,
        co2e_g=shared.carbon.co2e_g(energy_j),
        own_pace_j=meter.pace.own_j,
    )
    for epoch in epochs:
        outputs.write_cost(epoch, cost / len(epochs))
    tune.report({"outcome": {}, **NO_SCORE})


def make_pool(config: Mapping[str, Any], shared: Shared) -> None:
    """Synthesise the pool of images that trials share, or what is missing of it. ``config`` has nothing more.

    The outcome has a ``failure`` and what it had cost where the synthesis diverged.
    """
    assert shared.pool is not None, "only a run that shares starts this"
    late_s = wait_if_late(shared)
    meter = meter_here(once(f"{shared.run_id} synthesis"), cpus=shared.cpus, run_id=shared.run_id, wait_s=late_s)
    try:
        cost = _synthesiser(shared, shared.pool, meter).complete()
    except SynthesisFailed as failure:
        whole = failure.cost + _unmarked(shared, meter, failure.cost)
        outcome = {"failure": str(failure), "cost": asdict(whole)}
    else:
        pool_files(shared, shared.pool).charge(_unmarked(shared, meter, cost))
        outcome = {}
    finally:
        meter.close()  # on a stop, too, where Tune raises SystemExit
    tune.report({"outcome": outcome, **NO_SCORE})


def _unmarked(shared: Shared, meter: TrialMeter, cost: Cost) -> Cost:
    """Close the account; the energy that it has had beyond ``cost``, since the last mark."""
    total_j = meter.close().total_j
    rest_j = None if total_j is None or cost.energy_j is None else total_j - cost.energy_j
    own_j = meter.pace.own_j
    own_rest_j = None if own_j is None or cost.own_pace_j is None else own_j - cost.own_pace_j
    return Cost(energy_j=rest_j, co2e_g=shared.carbon.co2e_g(rest_j), own_pace_j=own_rest_j)


def _synthesiser(shared: Shared, folder: str, meter: TrialMeter) -> Synthesiser:
    """What makes the pool in this ``folder`` of the cache, or what is missing of it."""
    data, teacher, where = ray.get(shared.data), ray.get(shared.teacher), device(shared.gpus)

    def training_images() -> torch.Tensor:
        images: ImageData = ray.get(shared.tested_on)
        return from_shared(images.train.images)

    return Synthesiser(
        wanted_of(shared.scenario, data, shared.replicate_seed),
        teacher.network(shared.scenario, data).to(where),
        pool_files(shared, folder),
        device=where,
        meter=meter,
        carbon=shared.carbon,
        training_images=training_images,
    )


JOBS: Mapping[str, Callable[[Mapping[str, Any], Shared], None]] = {
    "trial": train_students,
    "test": examine_students,
    "synthesis": make_pool,
    "teacher outputs": compute_outputs,
}
"""What a worker of the pool does, by the name in a job's config."""
