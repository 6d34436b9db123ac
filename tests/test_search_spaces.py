"""Spaces: levels and draws stay inside, records round-trip, and a bad space is refused in one line."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from search_spaces import SPACES, Dimension, Space, SpaceError, read_space


@st.composite
def stepped(draw: st.DrawFn) -> Dimension:
    """A dimension of 1 to 40 levels; its upper bound need not be one of them."""
    low = draw(st.integers(1, 500)) / 10
    step = draw(st.integers(1, 50)) / 10
    return Dimension(
        low=low, high=low + step * draw(st.integers(0, 39)) + draw(st.sampled_from([0, step / 2])), step=step
    )


@st.composite
def continuous(draw: st.DrawFn) -> Dimension:
    low = draw(st.floats(0.01, 100))
    return Dimension(low=low, high=low + draw(st.floats(0, 100)))


def test_the_papers_space_has_its_19_levels() -> None:
    assert SPACES["tau"].tau.levels() == list(range(2, 21))


def test_a_space_for_detection_begins_at_1() -> None:
    assert SPACES["tau-from-1"].tau.levels() == list(range(1, 21))


def test_the_catalogue_goes_by_the_spaces_own_names() -> None:
    assert SPACES.keys() >= {"tau", "tau-alpha"}
    assert all(space.name == name for name, space in SPACES.items())


def test_tau_alpha_is_the_papers_temperatures_by_four_weights() -> None:
    grid = list(SPACES["tau-alpha"].grid())
    assert len(grid) == 19 * 4
    assert {point["alpha"] for point in grid} == {0.5, 0.65, 0.8, 0.95}


@given(stepped())
def test_levels_rise_from_low_by_the_step_and_end_within_a_step_of_high(dimension: Dimension) -> None:
    levels = dimension.levels()
    assert dimension.step is not None
    assert levels[0] == dimension.low
    assert levels == pytest.approx([dimension.low + i * dimension.step for i in range(len(levels))])
    slack = 1e-9
    assert dimension.high - dimension.step - slack < levels[-1] <= dimension.high + slack


@given(low=st.integers(1, 30), count=st.integers(1, 60))
def test_levels_are_the_decimals_that_were_meant(low: int, count: int) -> None:
    """0.1 + 2·0.1 is not 0.3 in floating point; the level is."""
    levels = Dimension(low=low / 10, high=(low + count - 1) / 10, step=0.1).levels()
    assert levels == [(low + i) / 10 for i in range(count)]


@given(dimension=stepped() | continuous(), seed=st.integers(0, 2**31 - 1))
def test_draws_are_levels_or_lie_in_the_interval(dimension: Dimension, seed: int) -> None:
    drawn = dimension.sample(random.Random(seed))
    if dimension.step is None:
        assert dimension.low <= drawn <= dimension.high
    else:
        assert drawn in dimension.levels()


def test_draws_are_uniform() -> None:
    rng = random.Random(0)
    stepped_draws = [SPACES["tau"].sample(rng)["tau"] for _ in range(9500)]
    assert chisquare([stepped_draws.count(level) for level in range(2, 21)]).pvalue > 0.001
    reals = [Dimension(low=2, high=20).sample(rng) for _ in range(2000)]
    assert kstest(reals, "uniform", args=(2, 18)).pvalue > 0.001


@given(st.lists(stepped(), min_size=1, max_size=1), st.integers(1, 5))
def test_the_grid_is_every_combination_once_the_last_dimension_fastest(taus: list[Dimension], alphas: int) -> None:
    alpha = Dimension(low=0, high=(alphas - 1) / 10, step=0.1)
    points = list(Space(name="s", dimensions={"tau": taus[0], "alpha": alpha}).grid())
    assert [(p["tau"], p["alpha"]) for p in points] == [(t, a) for t in taus[0].levels() for a in alpha.levels()]


@given(tau=stepped() | continuous(), alpha=st.none() | st.just(Dimension(low=0.5, high=0.95)))
def test_the_record_of_a_space_gives_it_back(tau: Dimension, alpha: Dimension | None) -> None:
    dimensions = {"tau": tau} if alpha is None else {"tau": tau, "alpha": alpha}
    space = Space(name="mine", dimensions=dimensions)
    assert Space.from_dict("mine", space.to_dict()) == space


def test_a_space_file_is_one_table_a_dimension(tmp_path: Path) -> None:
    path = tmp_path / "narrow.toml"
    path.write_text("[tau]\nlow = 1\nhigh = 10\nstep = 0.5\n[alpha]\nlow = 0.1\nhigh = 0.9\n", encoding="utf-8")
    space = read_space(path)
    assert space.name == "narrow"
    assert space.tau == Dimension(low=1, high=10, step=0.5)
    assert space.dimensions["alpha"] == Dimension(low=0.1, high=0.9)


TAU = {"low": 2, "high": 20}


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"tau": {"low": 0, "high": 20}}, ["τ must be > 0", "0"]),
        ({"tau": {"low": -2, "high": 20}}, ["τ must be > 0", "-2"]),
        ({"tau": {"low": 20, "high": 2}}, ["'tau'", "low must be ≤ high", "20", "2"]),
        ({"tau": {"low": 2, "high": 20, "step": 0}}, ["'tau'", "step must be > 0", "0"]),
        ({"tau": {"low": 2, "high": 20, "step": -1}}, ["'tau'", "step must be > 0", "-1"]),
        ({"tau": {"low": 2, "high": math.inf}}, ["'tau'", "high", "finite", "inf"]),
        ({"tau": {"low": math.nan, "high": 2}}, ["'tau'", "low", "finite", "nan"]),
        ({"tau": {"low": "two", "high": 20}}, ["'tau'", "low", "'two'"]),
        ({"tau": {"low": True, "high": 20}}, ["'tau'", "low", "True"]),
        ({"tau": {"low": 2}}, ["'tau'", "high"]),
        ({"tau": {**TAU, "stepp": 1}}, ["'tau'", "stepp"]),
        ({"tau": 4}, ["tau", "table", "4"]),
        ({"alpha": {"low": 0, "high": 1}}, ["no dimension 'tau'", "alpha"]),
        ({}, ["no dimension 'tau'"]),
        ({"tau": TAU, "alhpa": {"low": 0, "high": 1}}, ["'alhpa'", "alpha, tau"]),
        ({"tau": TAU, "alpha": {"low": 0, "high": 1.5}}, ["α must be within [0, 1]", "1.5"]),
        ({"tau": TAU, "alpha": {"low": -0.5, "high": 1}}, ["α must be within [0, 1]", "-0.5"]),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_in_one_line(tables: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SpaceError) as refused:
        Space.from_dict("mine", tables)
    text = str(refused.value)
    assert "\n" not in text
    assert [word for word in ["mine", *words] if word not in text] == []


def test_a_continuous_dimension_has_no_levels() -> None:
    with pytest.raises(SpaceError, match=r"\[2, 20\] has no step"):
        Dimension(low=2, high=20).levels()


@pytest.mark.parametrize("content", [b"[tau\nlow = 1", b"\xff\xfe", None])
def test_a_file_that_is_not_a_space_is_named_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpaceError, match=r"broken\.toml") as refused:
        read_space(path)
    assert "\n" not in str(refused.value)
