"""Verdicts over several looks: exact tests at each, errors that hold over all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.looks import UNDECIDED, decide
from analysis.statistics.paired import BETTER, EQUIVALENT, INCONCLUSIVE, WORSE, paired, verdicts

MARGIN, LOOKS = 0.01, (5, 10, 20)


def _differences(*means: float, spread: float = 0.002, replicates: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(np.reshape(means, (-1, 1)), spread, (len(means), replicates))


def test_a_clear_difference_falls_at_the_first_look_in_its_direction() -> None:
    decided = decide(_differences(0.05, -0.05), MARGIN, LOOKS)
    assert decided.verdict.tolist() == [BETTER, WORSE]
    assert decided.look.tolist() == [0, 0]


def test_one_look_is_the_ranking_of_a_plain_comparison() -> None:
    for seed in range(50):
        differences = _differences(0.0, 0.004, 0.01, -0.02, spread=0.008, seed=seed)
        alone = verdicts(paired(differences, MARGIN))
        assert decide(differences, MARGIN, (20,)).verdict.tolist() == alone.tolist()


def test_each_look_is_an_exact_t_test_at_its_part_of_the_level() -> None:
    differences = _differences(0.0123, spread=0.01)
    looks = decide(differences, MARGIN, LOOKS).taken
    for look, replicates in zip(looks, LOOKS, strict=True):
        p_value = stats.ttest_1samp(differences[0, :replicates], 0.0).pvalue
        low, high = stats.t.interval(
            1 - 0.05 / 3, replicates - 1, differences[0, :replicates].mean(), stats.sem(differences[0, :replicates])
        )
        assert (look.tests.low[0], look.tests.high[0]) == pytest.approx((low, high))
        if replicates == LOOKS[0]:
            assert look.p_difference[0] == pytest.approx(min(3 * p_value, 1))


def test_a_verdict_stays_whatever_comes_after_it() -> None:
    differences = _differences(0.05)
    differences[0, 5:] = -0.05 + 0.001 * np.arange(15)
    assert decide(differences, MARGIN, LOOKS).verdict.tolist() == [BETTER]
    differences[0, 5:] = np.nan  # it gets no more replicates
    assert decide(differences, MARGIN, LOOKS).look.tolist() == [0]


def test_looks_that_were_planned_and_not_taken_keep_their_part_of_the_level() -> None:
    five = _differences(0.05)[:, :5]
    tests = paired(five, MARGIN)
    (taken,) = decide(five, MARGIN, LOOKS).taken
    assert taken.p_difference[0] == pytest.approx(3 * tests.p_difference[0])


def test_what_one_question_has_decided_makes_the_other_no_easier() -> None:
    # Policy 0 is equivalent at the first look. At the second, policy 1 has to pass Holm's first step of two.
    equal = np.tile([-1e-4, 1e-4], 10)[:20]
    wanted = 0.05 / 3 / 2  # a p value between Holm's first step of two and of one
    t_value = stats.t.isf((wanted + 0.05 / 3) / 4, 9)
    raw = np.random.default_rng(3).normal(size=10)
    raw = (raw - raw.mean()) / raw.std(ddof=1)
    other = 0.03 * (raw + t_value / np.sqrt(10))
    differences = np.stack([equal[:10], other])
    decided = decide(differences, 0.0005, LOOKS)
    assert decided.verdict.tolist() == [EQUIVALENT, INCONCLUSIVE]
    assert decided.look.tolist() == [0, UNDECIDED]
    assert wanted < stats.ttest_1samp(other, 0.0).pvalue < 0.05 / 3


def test_a_policy_that_its_own_question_has_decided_makes_it_easier_for_the_rest() -> None:
    better = np.concatenate([0.05 + 1e-4 * np.arange(5), np.full(5, np.nan)])
    raw = np.random.default_rng(3).normal(size=10)
    raw = (raw - raw.mean()) / raw.std(ddof=1)
    t_value = stats.t.isf((0.05 / 3 / 2 + 0.05 / 3) / 4, 9)
    differences = np.stack([better, 0.03 * (raw + t_value / np.sqrt(10))])
    assert decide(differences, 0.0005, LOOKS).verdict.tolist() == [BETTER, BETTER]


def test_replicates_that_do_not_differ_decide_nothing_and_keep_their_part() -> None:
    decided = decide(np.zeros((1, 20)), MARGIN, LOOKS)
    assert decided.verdict.tolist() == [INCONCLUSIVE]
    assert decided.look.tolist() == [UNDECIDED]


def test_many_comparisons_at_once_are_the_same_as_one_by_one() -> None:
    many = np.stack([_differences(0.0, 0.01, spread=0.006, seed=seed) for seed in range(30)])
    together = decide(many, MARGIN, LOOKS)
    for one, verdict, look in zip(many, together.verdict, together.look, strict=True):
        alone = decide(one, MARGIN, LOOKS)
        assert (alone.verdict.tolist(), alone.look.tolist()) == (verdict.tolist(), look.tolist())
