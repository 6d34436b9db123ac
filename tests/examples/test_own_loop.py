"""examples/own_loop.py runs as it is, and does what docs/own-loop.md says of it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from policies.stochastic import Stochastic

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_loop.py"


@pytest.fixture(scope="module")
def loop() -> dict[str, Any]:
    """The names that the example has defined when its loop has run."""
    with torch.random.fork_rng(devices=()):
        return runpy.run_path(str(EXAMPLE))


def test_the_student_comes_nearer_to_its_teacher(loop: dict[str, Any]) -> None:
    torch.manual_seed(0)
    fresh = torch.nn.Linear(20, 10)
    with torch.no_grad():
        wanted, found, before = (network(loop["images"]) for network in (loop["teacher"], loop["student"], fresh))
    q, p, p0 = (torch.softmax(logits.double(), dim=1) for logits in (wanted, found, before))
    assert (q * (q / p).log()).sum(1).mean() < 0.5 * (q * (q / p0).log()).sum(1).mean()


def test_its_temperatures_are_those_that_a_trial_of_the_same_seed_draws(loop: dict[str, Any]) -> None:
    other = Stochastic().temperature({}, seed=0)
    other.begin_epoch(4, 5, 8)
    assert loop["temperature"].taus.tolist() == other.taus.tolist()
    assert set(loop["temperature"].taus.tolist()) <= set(range(2, 21))
