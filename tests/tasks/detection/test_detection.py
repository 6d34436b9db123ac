"""The task of detection: what its batches, losses and evaluation are, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_policies import HEAD, write
from torch import Tensor, nn
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from tune_kd.config.scenario import Scenario
from tune_kd.data.detection import DetectionData
from tune_kd.data.detection.batches import epoch_batches, eval_batches
from tune_kd.errors import InputError
from tune_kd.history.records import RunRow
from tune_kd.models.detectors import default_boxes
from tune_kd.planning.plan import plan_study
from tune_kd.tasks.base import Outputs, with_rest
from tune_kd.tasks.catalogue import TASKS, task_of
from tune_kd.tasks.detection.matching import match
from tune_kd.training.teacher import Teacher, check_networks, teacher_id
from tune_kd.training.teacher_outputs import outputs_id

CPU = torch.device("cpu")
CLASSES, SIZE = 11, 64


def boxes() -> Tensor:
    return default_boxes("ssdlite-small", classes=CLASSES, image_size=SIZE)


def test_batches_have_what_each_default_box_is_trained_on(scenes_scenario: Scenario, scenes: DetectionData) -> None:
    task, recipe = task_of(scenes_scenario), scenes_scenario.recipe
    part = task.on_device(scenes.train, CPU)
    batches = list(task.batches(part, scenes, recipe, seed=3, epoch=1))
    assert sorted(torch.cat([batch.index for batch in batches]).tolist()) == list(range(len(scenes.train)))
    plain = epoch_batches(
        part,
        image_size=SIZE,
        batch_size=recipe.batch_size,
        seed=3,
        epoch=1,
        preset="none",
        mean=scenes.mean,
        std=scenes.std,
    )
    for batch, given in zip(batches, plain, strict=True):
        assert torch.equal(batch.images, given.images)
        classes, regressions = match(given.labels, boxes())
        assert torch.equal(batch.labels, classes)
        assert torch.equal(batch.rest[0], regressions)
        assert set(batch.labels.unique().tolist()) <= {0, *torch.cat(given.labels.labels).tolist()}


def test_augmentation_is_that_of_the_scenario(scenes_scenario: Scenario, scenes: DetectionData) -> None:
    def first(augmentation: str) -> Tensor:
        task = task_of(scenes_scenario.changed({"augmentation": augmentation}))
        part = task.on_device(scenes.train, CPU)
        return next(iter(task.batches(part, scenes, scenes_scenario.recipe, seed=3, epoch=1))).images

    assert torch.equal(first("ssd"), first("ssd"))
    assert not torch.equal(first("ssd"), first("none"))


def test_what_is_held_out_comes_round_and_round_and_is_matched_too(
    scenes_scenario: Scenario, scenes: DetectionData
) -> None:
    task = task_of(scenes_scenario)
    train, held = task.hold_out(scenes.train, 0.1, 5)
    assert len(train) + len(held) == len(scenes.train)
    part = task.on_device(held, CPU)
    batches = list(islice(task.held_out_batches(part, scenes, scenes_scenario.recipe, seed=0, epoch=0), 2))
    assert torch.equal(batches[0].images, batches[1].images)
    assert batches[0].labels.shape == (len(held), len(boxes()))


def test_the_loss_of_a_network_without_a_teacher_is_torchvisions(
    scenes_scenario: Scenario, scenes: DetectionData
) -> None:
    task = task_of(scenes_scenario)
    part = task.on_device(scenes.train, CPU)
    torch.manual_seed(0)
    network = task.build("ssdlite-small", scenes)
    [given] = eval_batches(part, image_size=SIZE, batch_size=64, mean=scenes.mean, std=scenes.std)
    [batch] = task.batches(part, scenes, scenes_scenario.recipe.model_copy(update={"batch_size": 64}), seed=0, epoch=0)
    outputs = task.outputs(network, batch.images)
    found = with_rest(task.hard_loss(outputs, batch.labels), task.rest_loss(outputs, batch, None))
    ssd: Any = SSD(nn.Identity(), nn.Identity(), (SIZE, SIZE), CLASSES, head=nn.Identity())
    targets = [
        {"boxes": given.labels.boxes[image], "labels": given.labels.labels[image]} for image in batch.index.tolist()
    ]
    expected = ssd.compute_loss(
        targets,
        {"cls_logits": outputs.logits, "bbox_regression": outputs.rest[0]},
        [boxes()] * len(targets),
        [ssd.proposal_matcher(box_iou(target["boxes"], boxes())) for target in targets],
    )
    assert found.item() == pytest.approx(sum(expected.values()).item(), rel=1e-5)


def test_the_loss_of_an_evaluation_is_that_of_the_part_as_one_batch(
    scenes_scenario: Scenario, scenes: DetectionData
) -> None:
    task = task_of(scenes_scenario)
    part = task.on_device(scenes.train, CPU)  # more images than one batch of the evaluation
    torch.manual_seed(0)
    network = task.build("ssdlite-small", scenes).eval()
    [batch] = eval_batches(part, image_size=SIZE, batch_size=64, mean=scenes.mean, std=scenes.std)
    classes, regressions = match(batch.labels, boxes())
    whole = batch._replace(labels=classes, rest=(regressions,))
    with torch.inference_mode():
        outputs = task.outputs(network, batch.images)
        expected = with_rest(task.hard_loss(outputs, classes), task.rest_loss(outputs, whole, None))
    assert task.evaluate(network, part, scenes, "float32").loss == pytest.approx(expected.item(), rel=1e-4)


def test_a_test_fills_the_score_and_figures_that_a_record_can_keep(
    scenes_scenario: Scenario, scenes: DetectionData, scenes_teacher: Teacher
) -> None:
    task = task_of(scenes_scenario)
    part = task.on_device(scenes.test, CPU)
    found = task.evaluate(scenes_teacher.network(scenes_scenario, scenes), part, scenes, "float32")
    columns = task.test_columns(found.predictions, scenes)
    assert columns["test_score"] == found.score == scenes_teacher.test_score
    kept = json.loads(json.dumps(columns["metrics"], allow_nan=False))
    assert tuple(kept["per_class"]) == scenes.classes
    assert sum(of_class["objects"] for of_class in kept["per_class"].values()) == len(scenes.test.labels)


def test_a_runs_row_names_the_metric_and_has_no_share_of_a_class_that_could_be_named(scenes: DetectionData) -> None:
    study = plan_study(policies=["fixed"], scenario="digit-scenes")
    columns = RunRow.planned(study, study.runs[0], scenes).columns
    assert (columns["task"], columns["metric"]) == ("detection", "mAP")
    assert (columns["val_images"], columns["val_prevalence"]) == (len(scenes.validation), None)


def test_a_trial_gets_no_test_images(scenes_scenario: Scenario, scenes: DetectionData) -> None:
    given = task_of(scenes_scenario).for_trials(scenes)
    assert (len(given.test), len(given.test.content)) == (0, 0)
    assert len(given.train) == len(scenes.train)
    assert (given.mean, given.std) == (scenes.mean, scenes.std)


def test_what_makes_a_teacher_and_its_outputs_has_augmentation_and_normalisation_in_it(
    scenes_scenario: Scenario, scenes: DetectionData
) -> None:
    def identities(**settings: Any) -> tuple[str, str]:
        changed = scenes_scenario.changed(settings)
        identity = teacher_id(changed, scenes)
        return identity, outputs_id("teacher", changed, 0, cpus=1, gpus=0)

    usual = identities()
    assert identities(background_weight=1.5, distilled_boxes="all") == usual  # the teacher never sees them
    augmented = identities(augmentation="ssdlite")
    assert augmented[0] != usual[0]
    assert augmented[1] != usual[1]
    half = {"normalisation.mean": [0.5] * 3, "normalisation.std": [0.5] * 3}
    assert identities(**half)[0] != usual[0]


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({}, True),
        ({"bounded_regression": True}, False),  # the teacher's boxes are read, too
        ({"student": "ssdlite-mobilenetv2"}, False),  # 8,732 boxes are too large
        ({"student": "mine.net:make"}, False),
    ],
)
def test_trials_share_the_teachers_logits_where_they_are_few_and_all_that_is_read(
    settings: dict[str, Any], shares: bool, scenes_scenario: Scenario
) -> None:
    assert task_of(scenes_scenario.changed(settings)).shares_teacher is shares


def test_the_task_has_the_options_of_a_scenario(scenes_scenario: Scenario) -> None:
    with pytest.raises(ValueError, match="options of a scenario"):
        TASKS["detection"].mean(Outputs(torch.zeros(1, 2, 3)), torch.zeros(1, 2, dtype=torch.int64))
    logits, classes = torch.zeros(1, 4, 3), torch.tensor([[1, 0, 0, 0]])
    each = torch.tensor([[1.0, 10, 100, 1000]])

    def mean(**settings: Any) -> float:
        return task_of(scenes_scenario.changed(settings)).mean(Outputs(logits), classes)(each).item()

    assert mean() == 1111
    assert mean(background_weight=2.0) == 2221
    assert mean(distilled_boxes="positives") == 1
    assert mean(distilled_boxes="all") == pytest.approx(1111 / 4)


PER_SAMPLE = """
class PerSample(Temperature):
    def forward(self, step, student_logits, teacher_logits):
        tau = torch.full((len(student_logits), 1), 4.0)
        return Softening(tau, tau, tau.square())

@dataclass(frozen=True, kw_only=True)
class Mine(Policy):
    def temperature(self, params, seed):
        return PerSample()
"""


def refusal_of(call: Any, *given: Any, **named: Any) -> str:
    with pytest.raises(InputError) as refusal:
        call(*given, **named)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_policy_made_for_one_softmax_an_image_is_refused_by_name_before_anything_runs(tmp_path: Path) -> None:
    mine = f"{write(tmp_path, HEAD + PER_SAMPLE)}:Mine"
    plan_study(policies=[mine])  # classification takes it
    message = refusal_of(plan_study, policies=[mine], scenario="digit-scenes")
    assert "policy Mine cannot soften logits [B, A, n]" in message
    assert "got [2, 1]" in message


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"student": "digits-student"}, "unknown student model 'digits-student'"),
        ({"recipe.flip": True}, "recipe.flip would move images without their boxes"),
        ({"teacher_recipe.rotation_degrees": 15}, "teacher_recipe.rotation_degrees would move images"),
        ({"data": "digits"}, "digit-scenes, voc"),
        ({"task": "classification"}, "there is no data folder 'digit-scenes'"),
    ],
)
def test_what_detection_does_not_have_is_refused_when_a_study_is_planned(settings: dict[str, Any], told: str) -> None:
    assert told in refusal_of(plan_study, policies=["fixed"], scenario="digit-scenes", set=settings)


def test_networks_that_do_not_pair_up_or_do_not_take_the_images_are_refused_before_training(
    scenes_scenario: Scenario, scenes: DetectionData
) -> None:
    check_networks(scenes_scenario, scenes)
    at_300 = dataclasses.replace(scenes, image_size=300)
    unequal = scenes_scenario.changed({"teacher": "ssd300-vgg16", "student": "ssdlite-mobilenetv2-3000"})
    assert "do not pair up box by box" in refusal_of(check_networks, unequal, at_300)
    assert "takes images of 300×300 pixels, got 64×64" in refusal_of(check_networks, unequal, scenes)


def test_the_embedded_scenario_plans_with_every_policy_of_the_catalogue() -> None:
    from policies import POLICIES

    study = plan_study(policies=list(POLICIES), scenario="digit-scenes")
    assert [plan.label for plan in study.runs] == list(POLICIES)
    assert np.isclose(study.scenario.distillation_weight, study.scenario.alpha or 0)
