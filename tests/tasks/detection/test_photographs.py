"""Real photographs in VOC's layout, and the real networks: one epoch of SSD300-VGG16 teaching SSDLite."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tune_kd.config.catalogue import make_policy
from tune_kd.config.scenario import Scenario
from tune_kd.meter.carbon import Carbon
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.examination import examine
from tune_kd.training.teacher import check_networks
from tune_kd.training.trial import Place, Trial, TrialSpec

PHOTOGRAPHS = Path(__file__).parents[4] / "shared" / "data" / "coco-voc-layout"
CPU = torch.device("cpu")


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs are not beside the repository")
@pytest.mark.parametrize(
    "pair", [("ssd300-vgg16", "ssdlite-mobilenetv2"), ("ssd300-vgg16-3000", "ssdlite-mobilenetv2-3000")]
)
def test_the_real_networks_learn_from_photographs_and_are_tested(
    pair: tuple[str, str], tmp_path: Path, meters: Callable[..., Any]
) -> None:
    scenario = Scenario(
        name="photographs",
        task="detection",
        data=str(PHOTOGRAPHS / "VOCdevkit" / "VOC2007"),
        train_limit=9,
        test_limit=4,
        teacher=pair[0],
        student=pair[1],
        augmentation="ssd",
        bounded_regression=True,
        alpha=0.5,
    ).changed({"recipe.epochs": 1, "recipe.batch_size": 4, "recipe.lr": 0.001})
    task = task_of(scenario)
    data = task.load(scenario, tmp_path)
    check_networks(scenario, data)
    policy = make_policy("fixed:tau=1")
    spec = TrialSpec(
        run_id="run", trial_id="run-0000", index=0, replicate_seed=0, scenario=scenario, policy=policy, params={}
    )
    carbon = Carbon(intensity_g_per_kwh=500.0, source="chosen for the tests", pue=1.0)
    checkpoint = tmp_path / "checkpoint.pt"
    place = Place(device=CPU, meter=meters(), carbon=carbon, node_id="node", checkpoint=checkpoint)
    [report] = Trial(spec, task.for_trials(data), task.build(pair[0], data), place).fit()
    assert report.diverged_epoch is None
    assert math.isfinite(report.train_loss)
    assert report.flops_teacher > 40 * report.flops_forward  # 30.7 GMACs and more against 0.7
    found = examine(scenario, checkpoint, data, device=CPU, meter=meters(), carbon=carbon)
    assert 0 <= found["test_score"] <= 1
    assert tuple(found["metrics"]["per_class"]) == data.classes
