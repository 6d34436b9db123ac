"""Grid search: every point, once, in order."""

from __future__ import annotations

import itertools

import pytest
from policy_sequences import COARSE, REAL, SINGLE, TAU, suggestions
from ray.tune.search import Searcher

from search_spaces import SPACES, Space
from tune_kd.config.catalogue import make_policy


@pytest.mark.parametrize("space", [TAU, SPACES["tau-alpha"], COARSE, SINGLE], ids=lambda space: space.name)
def test_grid_takes_every_point_once_in_order_and_ends(space: Space) -> None:
    grid = make_policy("grid")
    searcher = grid.searcher(space, 0)
    levels = [dimension.levels() for dimension in space.dimensions.values()]
    found = suggestions(searcher, 1000)
    assert [tuple(params.values()) for params in found] == list(itertools.product(*levels))
    assert len(found) == grid.native_trials(space)
    assert searcher.suggest("one-more") == Searcher.FINISHED


def test_grid_needs_levels() -> None:
    with pytest.raises(ValueError, match="has no step"):
        make_policy("grid").native_trials(REAL)
