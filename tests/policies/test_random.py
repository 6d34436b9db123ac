"""Random search: uniform, independent draws."""

from __future__ import annotations

import itertools

import pytest
from policy_sequences import REAL, TAU, suggestions
from scipy.stats import chisquare, kstest

from tune_kd.config.catalogue import make_policy


def test_random_is_uniform_over_the_levels() -> None:
    drawn = [params["tau"] for params in suggestions(make_policy("random").searcher(TAU, 1), 5700)]
    counts = [drawn.count(level) for level in TAU.tau.levels()]
    assert sum(counts) == len(drawn)
    assert chisquare(counts).pvalue > 0.001


def test_random_is_uniform_over_an_interval() -> None:
    drawn = [params["tau"] for params in suggestions(make_policy("random").searcher(REAL, 1), 2000)]
    assert kstest(drawn, "uniform", args=(0.5, 7.5)).pvalue > 0.001


def test_random_draws_are_independent_of_one_another() -> None:
    drawn = [params["tau"] for params in suggestions(make_policy("random").searcher(TAU, 2), 5000)]
    after_low = [after for before, after in itertools.pairwise(drawn) if before <= 10]
    assert chisquare([after_low.count(level) for level in TAU.tau.levels()]).pvalue > 0.001


@pytest.mark.parametrize("label", ["random", "tpe"])
def test_another_seed_searches_another_way(label: str) -> None:
    policy = make_policy(label)
    first, second = (suggestions(policy.searcher(TAU, seed), 16) for seed in (11, 12))
    assert first != second
