"""Networks asked about images that no test has kept."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.errors import InputError
from tune_kd.history.explain_again import _answers
from tune_kd.training.teacher import Teacher


def test_a_network_whose_outputs_are_not_finite_names_no_class(
    scenario: Scenario, digits: ImageData, teacher: Teacher
) -> None:
    network, images = teacher.network(scenario, digits), digits.test.images[:3]
    assert _answers(network, digits, images, "the teacher").shape == (3,)
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.fill_(math.nan)
    with pytest.raises(InputError, match=r"^the first student names no class: its outputs are not finite"):
        _answers(network, digits, images, "the first student")
