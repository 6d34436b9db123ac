"""Seeds: pure, apart from one another, and fit for every library."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tune_kd.config.seeds import replicate_seed, trial_seed

seeds = st.integers(0, 2**31 - 1)


@given(seed=seeds, replicate=st.integers(0, 1000), index=st.integers(0, 10_000))
def test_a_seed_repeats_and_fits_every_library(seed: int, replicate: int, index: int) -> None:
    found = trial_seed(replicate_seed(seed, replicate), index)
    assert found == trial_seed(replicate_seed(seed, replicate), index)
    assert 0 <= found < 2**31
    assert isinstance(found, int)  # JSON, Parquet and torch want Python's own
    np.random.RandomState(found)
    torch.Generator().manual_seed(found)


def test_recorded_seeds_stay_what_they_were() -> None:
    """A record names a seed's ancestors alone: with another derivation no old record could be repeated."""
    assert [replicate_seed(0, 0), replicate_seed(0, 1), replicate_seed(3, 1)] == [917752063, 750514629, 1117225019]
    assert trial_seed(228595140, 7) == 1235638889


@given(seed=seeds)
def test_replicates_and_trials_have_seeds_of_their_own(seed: int) -> None:
    replicates = [replicate_seed(seed, replicate) for replicate in range(10)]
    trials = [trial_seed(replicates[0], index) for index in range(20)]
    assert len({*replicates, *trials}) == 30


@given(seed=seeds, other=seeds)
def test_another_seed_gives_another_replicate(seed: int, other: int) -> None:
    assert (replicate_seed(seed, 0) == replicate_seed(other, 0)) == (seed == other)


def test_consecutive_seeds_are_unrelated() -> None:
    """Bits of neighbours agree as often as those of strangers: half the time."""
    derived = np.array([[trial_seed(seed, index) for index in range(20)] for seed in range(100)])
    neighbours = derived[1:] ^ derived[:-1]
    ones = (neighbours[..., None] >> np.arange(31) & 1).mean()
    assert abs(ones - 0.5) < 5 * 0.5 / np.sqrt(neighbours.size * 31)
