"""TPE: it stays in the space, learns, and repeats itself whichever trial ends first."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_sequences import COARSE, REAL, SINGLE, TAU, suggestions

from search_spaces import SPACES, Space
from tune_kd.config.catalogue import make_policy


def hill(params: Mapping[str, float]) -> float:
    """An accuracy with its top at τ = 6."""
    return 0.9 - (params["tau"] - 6) ** 2 / 400


@pytest.mark.parametrize("space", [TAU, SPACES["tau-alpha"], SINGLE], ids=lambda space: space.name)
def test_tpe_stays_on_the_levels_of_the_space(space: Space) -> None:
    for params in suggestions(make_policy("tpe:startup=4").searcher(space, 0), 25, hill):
        assert params.keys() == space.dimensions.keys()
        for name, value in params.items():
            assert min(abs(value - level) for level in space.dimensions[name].levels()) < 1e-9


def test_tpe_takes_a_space_whose_range_is_no_multiple_of_its_step() -> None:
    """The other policies do, and its user sees no library's warning."""
    found = {params["tau"] for params in suggestions(make_policy("tpe").searcher(COARSE, 0), 30)}
    assert found <= set(COARSE.tau.levels())


def test_tpe_stays_in_an_interval() -> None:
    found = [params["tau"] for params in suggestions(make_policy("tpe:startup=4").searcher(REAL, 0), 25, hill)]
    assert all(0.5 <= tau <= 8 for tau in found)
    assert len(set(found)) > 20  # not on a grid


def test_tpe_comes_to_prefer_what_does_well() -> None:
    found = [params["tau"] for params in suggestions(make_policy("tpe").searcher(TAU, 0), 60, hill)]
    startup, later = found[:10], found[20:]
    assert sum(map(abs, (tau - 6 for tau in later))) / 40 < sum(map(abs, (tau - 6 for tau in startup))) / 10


@settings(max_examples=15)
@given(data=st.data())
def test_tpe_suggests_the_same_whichever_trial_ends_first(data: st.DataObject) -> None:
    """Concurrency and completion order depend on the machine; the suggestions of a seed must not."""
    policy = make_policy("tpe:startup=3")
    expected = suggestions(policy.searcher(TAU, 5), 14, hill)
    searcher = policy.searcher(TAU, 5)
    found: list[dict[str, float]] = []
    running: dict[str, dict[str, float]] = {}
    concurrency = data.draw(st.integers(1, 6), label="concurrency")
    while len(found) < len(expected):
        params = searcher.suggest(f"trial-{len(found)}") if len(running) < concurrency else None
        if isinstance(params, dict):
            running[f"trial-{len(found)}"] = params
            found.append(params)
        else:
            ended = data.draw(st.sampled_from(sorted(running)), label="ends")
            result = {"val_score": hill(running.pop(ended)), "training_iteration": 1}
            searcher.on_trial_complete(ended, result=result)
    assert found == expected


def test_tpe_goes_on_after_a_trial_that_failed() -> None:
    searcher = make_policy("tpe:startup=2").searcher(TAU, 0)
    for index in range(12):
        params = searcher.suggest(f"trial-{index}")
        assert isinstance(params, dict)
        if index % 3:
            result = {"val_score": hill(params), "training_iteration": 1}
            searcher.on_trial_complete(f"trial-{index}", result=result)
        else:
            searcher.on_trial_complete(f"trial-{index}", error=True)
