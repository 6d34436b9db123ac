"""The loop in docs/own-loop.md runs as it is printed, and does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from policies.stochastic import Stochastic

PAGE = Path(__file__).parents[2] / "docs" / "own-loop.md"


@pytest.fixture(scope="module")
def loop() -> dict[str, Any]:
    """What is left when the page's loop has run."""
    [code] = re.findall(r"```python\n(.+?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    left: dict[str, Any] = {}
    with torch.random.fork_rng(devices=()):
        exec(compile(code, str(PAGE), "exec"), left)
    return left


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
