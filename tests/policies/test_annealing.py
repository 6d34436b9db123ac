"""Annealing: τ falls from the highest to the lowest, each shape at its own pace."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from policy_sequences import all_taus

from policies.annealing import SHAPES
from tune_kd.config.catalogue import make_policy


@pytest.mark.parametrize("shape", SHAPES)
@given(
    low=st.floats(0.25, 20),
    width=st.floats(0, 40),
    epochs=st.integers(1, 5),
    steps=st.integers(2, 30),
)
def test_annealing_falls_from_the_highest_to_the_lowest_exactly(
    shape: str, low: float, width: float, epochs: int, steps: int
) -> None:
    params = {"tau_low": low, "tau_high": low + width}
    taus = all_taus(make_policy(f"annealing:shape={shape}").temperature(params, seed=0), epochs=epochs, steps=steps)
    ends = torch.tensor([low + width, low], dtype=torch.float64).float()
    assert torch.equal(taus[[0, -1]], ends)
    assert (taus.diff() <= 0).all()


@pytest.mark.parametrize(("shape", "middle"), [("linear", 11.0), ("cosine", 11.0), ("exponential", math.sqrt(40))])
def test_annealing_has_its_shape_in_the_middle(shape: str, middle: float) -> None:
    taus = all_taus(make_policy(f"annealing:shape={shape}").temperature({}, seed=0), epochs=3, steps=3)
    assert taus[4].item() == pytest.approx(middle, rel=1e-6)  # batch 5 of 9


def test_annealing_shapes_have_their_own_pace() -> None:
    quarter = {
        shape: all_taus(make_policy(f"annealing:shape={shape}").temperature({}, seed=0), epochs=1, steps=5)[1].item()
        for shape in SHAPES
    }
    assert quarter["linear"] == pytest.approx(15.5)
    assert quarter["cosine"] == pytest.approx(11 + 9 * math.cos(math.pi / 4))  # slow at the start
    assert quarter["exponential"] == pytest.approx(20 * 10**-0.25)  # fast


def test_annealing_over_a_single_batch_stays_at_the_highest() -> None:
    assert all_taus(make_policy("annealing").temperature({}, seed=0), epochs=1, steps=1).tolist() == [20.0]
