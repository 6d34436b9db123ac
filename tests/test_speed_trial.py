"""The arithmetic of the speed benchmark: the share of a device's peak that a training speed is."""

from __future__ import annotations

import pytest
from speed_trial import flops_per_image, peak_share

from tune_kd.meter.flops import ModelFlops, count
from tune_kd.models import build
from tune_kd.training.costs import NetworkFlops


def test_a_step_is_the_student_both_ways_and_the_teacher_forward() -> None:
    student = ModelFlops(forward=2, backward=4, uncounted=())
    teacher = ModelFlops(forward=10, backward=20, uncounted=())
    assert flops_per_image(NetworkFlops(student=student, teacher=teacher)) == 16


def test_the_benchmarks_networks_take_what_their_multiply_accumulates_say() -> None:
    student, teacher = (
        count(build(name, classes=10, channels=3, image_size=32), (3, 32, 32)) for name in ("mobilenetv2", "resnet18")
    )
    flops = flops_per_image(NetworkFlops(student=student, teacher=teacher))
    # Of the backward pass the first layer needs no gradient of its input: under one percent of it all.
    assert flops == pytest.approx(2 * (3 * 87_976_448 + 555_422_720), rel=0.01)


def test_the_share_of_the_peak_is_a_plain_ratio() -> None:
    assert peak_share(1000, 2 * 10**9, 4) == pytest.approx(0.5)
    assert peak_share(60_300, 1_640_000_000, 989) == pytest.approx(0.1, rel=1e-3)
