"""A trial of detection in bfloat16, and compiled: the same training but for rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from tune_kd.config.scenario import Scenario
from tune_kd.data.detection import DetectionData
from tune_kd.errors import InputError
from tune_kd.events import EpochReport
from tune_kd.models import compiler
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.teacher import Teacher
from tune_kd.training.trial import Trial

MakeDetectionTrial = Callable[..., Trial]
CPU = torch.device("cpu")
BOUNDED = {"bounded_regression": True}  # reads the teacher's boxes, too


def missing() -> str:
    """Why nothing can be compiled here; empty where it can."""
    try:
        compiler.compiler()
    except InputError as error:
        return str(error)
    return ""


def same(one: EpochReport, other: EpochReport, rel: float) -> None:
    assert other.diverged_epoch is None
    assert other.train_loss == pytest.approx(one.train_loss, rel=rel)
    assert other.val_loss == pytest.approx(one.val_loss, rel=rel)
    assert other.flops_executed == one.flops_executed


def test_bfloat16_trains_as_float32_does_but_for_its_rounding(make_detection_trial: MakeDetectionTrial) -> None:
    def first_epoch(precision: str) -> tuple[EpochReport, Trial]:
        trial = make_detection_trial(settings={**BOUNDED, "precision": precision})
        return next(trial.fit()), trial

    (plain, _), (rounded, trial) = first_epoch("float32"), first_epoch("bfloat16")
    assert rounded.train_loss != plain.train_loss
    same(plain, rounded, rel=0.03)
    assert {weight.dtype for weight in trial.student.network.parameters()} == {torch.float32}


def test_an_evaluation_in_bfloat16_finds_nearly_what_one_in_float32_finds(
    scenes_scenario: Scenario, scenes: DetectionData, scenes_teacher: Teacher
) -> None:
    task, network = task_of(scenes_scenario), scenes_teacher.network(scenes_scenario, scenes)
    part = task.on_device(scenes.test, CPU)
    plain, rounded = (task.evaluate(network, part, scenes, precision) for precision in ("float32", "bfloat16"))
    assert rounded.finite
    assert rounded.loss == pytest.approx(plain.loss, rel=0.02)
    assert rounded.score == pytest.approx(plain.score, abs=0.02)
    found: Any = rounded.predictions.found
    assert (found.boxes.dtype, found.scores.dtype) == ("float32", "float32")


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing")
def test_a_compiled_trial_learns_and_costs_the_same_and_compiles_each_network_once(
    make_detection_trial: MakeDetectionTrial,
) -> None:
    torch.compiler.reset()
    counters.clear()
    # A batch an epoch: losses before any step and after one. Batch norm multiplies roundings from step to step.
    one_batch = {**BOUNDED, "recipe.batch_size": 44}
    plain, quick = (list(make_detection_trial(settings={**one_batch, "compile": on}).fit()) for on in (False, True))
    assert counters["stats"]["unique_graphs"] == 2  # student and teacher
    assert quick[0].train_loss == pytest.approx(plain[0].train_loss, rel=1e-5)
    for one, other in zip(plain, quick, strict=True):
        same(one, other, rel=1e-3)
    torch.compiler.reset()
