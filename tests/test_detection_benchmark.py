"""The benchmark of detection: its plain loop trains what the engine trains; its detections are as many as VOC's."""

from __future__ import annotations

import argparse
from typing import Any

import detection as benchmark
import detection_loop
import numpy as np
import pytest
import torch

from tune_kd.data.detection.objects import Objects
from tune_kd.models.detectors import default_boxes
from tune_kd.tasks.detection.losses import box_loss, class_loss
from tune_kd.tasks.detection.matching import match


def test_the_loops_student_has_the_engines_losses() -> None:
    torch.manual_seed(0)
    student, said = detection_loop.student(21), []
    images = list(torch.rand(2, 3, 300, 300))
    objects = Objects(
        boxes=(torch.tensor([[20.0, 30, 120, 200]]), torch.tensor([[150.0, 10, 290, 250], [5, 5, 60, 70]])),
        labels=(torch.tensor([3]), torch.tensor([7, 20])),
        difficult=(torch.tensor([False]), torch.tensor([False, False])),
    )
    targets: Any = [{"boxes": box, "labels": label} for box, label in zip(objects.boxes, objects.labels, strict=True)]
    student.head.register_forward_hook(lambda _, __, outputs: said.append(outputs))
    losses = student.train()(images, targets)
    classes, places = match(objects, default_boxes("ssdlite-mobilenetv2", classes=21, image_size=300))
    [outputs] = said
    of_classes = class_loss(outputs["cls_logits"], classes)
    of_boxes = box_loss(outputs["bbox_regression"], places, classes)
    assert losses["classification"].item() == pytest.approx(of_classes.item(), rel=1e-4)
    assert losses["bbox_regression"].item() == pytest.approx(of_boxes.item(), rel=1e-4)


def test_the_judged_detections_are_as_many_as_asked_for_and_some_are_true() -> None:
    found, there = benchmark.voc_sized(images=50, boxes=20)
    assert (np.bincount(found.image) == 20).all()
    assert len(there.labels) == round(14_976 * 50 / 4_952)
    score = benchmark.mean_average_precision(benchmark.curves(found, there, 20))
    assert 0.01 < score < 0.9


def test_the_networks_are_the_full_size_pair() -> None:
    options = argparse.Namespace(data="there", rounds=2, batch=8, batches=3, precision="float32")
    made = benchmark.scenario(options)
    assert (made.teacher, made.student, made.train_limit) == ("ssd300-vgg16", "ssdlite-mobilenetv2", 27)
