"""Trials of detection: every policy, every loss, a kill in the middle, and outputs that are shared."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from policies import POLICIES
from tune_kd.budget.cost import Cost
from tune_kd.config.catalogue import make_policy
from tune_kd.config.scenario import Scenario, load_scenario
from tune_kd.data.detection import DetectionData
from tune_kd.losses import DISTILLATIONS
from tune_kd.meter.base import Meter
from tune_kd.meter.carbon import Carbon
from tune_kd.models import fast
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.teacher import Teacher
from tune_kd.training.teacher_outputs import TeacherOutputs, teach
from tune_kd.training.trial import Place, Trial, TrialSpec

MakeDetectionTrial = Callable[..., Trial]
CARBON = Carbon(intensity_g_per_kwh=500.0, source="chosen for the tests", pue=1.0)
CPU = torch.device("cpu")
ONE = {"recipe.epochs": 1, "recipe.batch_size": 44}
RESULTS = ("epoch", "train_loss", "val_loss", "val_score", "tau_mean", "flops_executed")


def results(trial: Trial) -> list[tuple[Any, ...]]:
    return [tuple(getattr(report, name) for name in RESULTS) for report in trial.fit()]


def heads(trial: Trial) -> dict[str, torch.Tensor]:
    return {
        name: weight.detach().clone()
        for name, weight in trial.student.network.named_parameters()
        if name.startswith("head")
    }


@pytest.mark.parametrize("policy", [*POLICIES, "annealing-kd:temperature_only"])
def test_every_policy_trains_both_heads(policy: str, make_detection_trial: MakeDetectionTrial) -> None:
    trial = make_detection_trial(policy, settings=ONE)
    before = heads(trial)
    [report] = trial.fit()
    assert report.diverged_epoch is None
    assert math.isfinite(report.train_loss)
    assert 0 <= report.val_score <= 1
    moved = {name for name, weight in heads(trial).items() if not torch.equal(weight, before[name])}
    assert {name.split(".")[1] for name in moved} == {"classification_head", "regression_head"}


@pytest.mark.parametrize("loss", [*DISTILLATIONS, "ce"])
def test_every_loss_trains(loss: str, make_detection_trial: MakeDetectionTrial) -> None:
    taught = loss != "ce"
    settings = {**ONE, "loss": loss, "alpha": 0.5 if taught else 0.0}
    [report] = make_detection_trial("fixed", settings=settings).fit()
    assert report.diverged_epoch is None
    assert (report.flops_teacher > 0) is taught


def test_the_bounded_regression_asks_the_teacher_about_boxes(make_detection_trial: MakeDetectionTrial) -> None:
    def train_loss(policy: str, bounded: bool) -> float:
        [report] = make_detection_trial(policy, settings={**ONE, "bounded_regression": bounded}).fit()
        return report.train_loss

    assert train_loss("fixed", True) > train_loss("fixed", False)  # a term more, of a teacher that knows something
    assert train_loss("student", True) == train_loss("student", False)  # nobody is asked


def test_a_trial_killed_in_the_middle_goes_on_as_if_it_had_not_been(
    make_detection_trial: MakeDetectionTrial, tmp_path: Path
) -> None:
    policy = "ctkd"  # whose τ is learned, so that it is in the checkpoint, too
    whole = results(make_detection_trial(policy))
    place = tmp_path / "checkpoint.pt"
    first = next(make_detection_trial(policy, checkpoint=place).fit())
    rest = results(make_detection_trial(policy, checkpoint=place))
    assert tuple(getattr(first, name) for name in RESULTS[:4]) == whole[0][:4]
    assert [report[:5] for report in rest] == [report[:5] for report in whole[1:]]


def test_trials_that_share_the_teachers_logits_see_what_they_would_have_been_told(
    make_detection_trial: MakeDetectionTrial,
    scenes_scenario: Scenario,
    scenes: DetectionData,
    scenes_teacher: Teacher,
    tmp_path: Path,
) -> None:
    network = fast.for_inference(scenes_teacher.network(scenes_scenario, scenes), CPU)
    part = task_of(scenes_scenario).on_device(scenes.train, CPU)
    shared = TeacherOutputs(place=tmp_path.joinpath)
    for epoch in range(2):
        logits = teach(network, part, scenes, scenes_scenario, seed=1, epoch=epoch)
        assert logits.shape == (len(scenes.train), 336, 11)
        shared.write(epoch, logits)
        shared.write_cost(epoch, Cost(flops=1, duration_s=1.0, energy_j=None, co2e_g=None))
    sharing, asking = make_detection_trial("stochastic", shared_outputs=shared), make_detection_trial("stochastic")
    told, asked = list(sharing.fit()), list(asking.fit())
    assert [report.train_loss for report in told] == [report.train_loss for report in asked]
    assert [report.val_score for report in told] == [report.val_score for report in asked]
    assert told[-1].flops_teacher == 0 < asked[-1].flops_teacher


def test_flops_are_those_of_the_images_that_passed(
    make_detection_trial: MakeDetectionTrial, scenes: DetectionData, scenes_counted: NetworkFlops
) -> None:
    last = list(make_detection_trial("fixed").fit())[-1]
    images = 2 * len(scenes.train)
    assert last.flops_forward == scenes_counted.student.forward * images
    assert last.flops_backward == scenes_counted.student.backward * images
    assert last.flops_teacher == scenes_counted.teacher.forward * images
    assert last.flops_eval == scenes_counted.student.forward * 2 * len(scenes.validation)
    assert last.flops_uncounted_ops == ""


@pytest.mark.slow
def test_the_student_of_the_embedded_scenes_learns_to_find_digits_on_its_own(
    tmp_path: Path, meters: Callable[..., Meter]
) -> None:
    scenario = load_scenario("digit-scenes").changed({"recipe.epochs": 20})
    task, policy = task_of(scenario), make_policy("student")
    data = task.load(scenario, tmp_path)
    spec = TrialSpec(
        run_id="run", trial_id="run-0000", index=0, replicate_seed=0, scenario=scenario, policy=policy, params={}
    )
    place = Place(device=CPU, meter=meters(), carbon=CARBON, node_id="node")
    reports = list(Trial(spec, task.for_trials(data), None, place).fit())
    assert reports[0].val_score < 0.1
    assert reports[-1].val_score > 0.3
