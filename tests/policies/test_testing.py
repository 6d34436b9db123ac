"""The public check of a policy: every policy of the catalogue passes it, and what breaks a promise does not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from policies import POLICIES, Policy
from policies.base import Constant, Softening, Temperature, hinton
from policies.testing import check_policy
from search_spaces import SPACES


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_of_the_catalogue_passes(name: str) -> None:
    check_policy(POLICIES[name](), SPACES["tau-alpha"])


class Drawn(Temperature):
    """τ from torch's global generator, as nobody should draw it."""

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        return hinton(2 + torch.rand(()))


class Forgetful(Temperature):
    """τ grows with every batch, and its state does not say how far it is."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        self.seen += 1
        return hinton(torch.tensor(2.0 + self.seen))


class Frozen(Temperature):
    """τ of zero."""

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        return Softening(torch.tensor(0.0), torch.tensor(4.0), torch.tensor(1.0))


class Sly(Temperature):
    """τ by the teacher's certainty, which it denies to look at."""

    reads_teacher = False

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        return hinton(2 + teacher_logits.amax(dim=1, keepdim=True).abs())


class Flat(Temperature):
    """τ for each sample, but as if no logits had anchors."""

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        return hinton(2 + teacher_logits.flatten(1).std(1, keepdim=True))


COUNT = itertools.count(2)
BREAKS = {
    "draw from a generator of your own": (Drawn, True),
    "go on from its state_dict": (Forgetful, True),
    "must be finite": (Frozen, False),
    "reads_teacher must be True": (Sly, True),
    "have the dimensions of the logits": (Flat, True),
    "moves_within": (lambda: Constant(4.0), True),
    "the same parameters and seed": (lambda: Constant(float(next(COUNT))), False),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_promise_is_named(broken: str) -> None:
    temperature, moves = BREAKS[broken]

    @dataclass(frozen=True, kw_only=True)
    class Broken(Policy):
        name: ClassVar[str] = "broken"
        moves_within: ClassVar[bool] = moves

        def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
            return temperature()

    with pytest.raises(AssertionError, match=broken):
        check_policy(Broken())
