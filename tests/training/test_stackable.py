"""Which networks can be trained side by side: found out by trying, and said in a line where one cannot."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.training.stackable import PAYS, Stacking, try_stacking

CPU = torch.device("cpu")
NETWORKS = """
import torch
from torch import nn

def linear(*, classes, channels, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, classes))

def dropping(**sizes):
    return nn.Sequential(nn.Dropout(0.5), linear(**sizes))

class Branching(nn.Module):
    def __init__(self, **sizes):
        super().__init__()
        self.linear = linear(**sizes)

    def forward(self, images):
        logits = self.linear(images)
        return logits if logits.sum() > 0 else -logits

class Hiding(nn.Module):
    def __init__(self, **sizes):
        super().__init__()
        self.linear, self.scale = linear(**sizes), torch.randn(())

    def forward(self, images):
        return self.scale * self.linear(images)
"""


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "networks_to_stack.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("networks_to_stack", None)


@pytest.mark.parametrize("settings", [{}, {"precision": "bfloat16"}])
def test_students_that_can_be_stacked_have_a_gain(
    settings: dict[str, Any], scenario: Scenario, digits: ImageData
) -> None:
    found = try_stacking(scenario.changed(settings), digits, CPU)
    assert found.refused is None
    assert found.gain is not None
    assert found.gain > 0


@pytest.mark.parametrize(
    ("network", "why"), [("dropping", "random"), ("Branching", "data-dependent"), ("Hiding", "differ")]
)
def test_a_network_that_cannot_be_stacked_is_refused_in_a_line(
    network: str, why: str, scenario: Scenario, digits: ImageData, networks: None
) -> None:
    found = try_stacking(scenario.changed({"student": f"networks_to_stack:{network}"}), digits, CPU)
    assert found.refused is not None
    assert why in found.refused
    assert "\n" not in found.refused
    assert not found.pays


def test_it_pays_from_a_gain_on_that_is_no_chance() -> None:
    assert Stacking(gain=PAYS).pays
    assert not Stacking(gain=0.99 * PAYS).pays
    assert not Stacking().pays
