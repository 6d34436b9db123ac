"""Verdicts over several looks: exact tests at each, errors that hold over all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.looks import UNDECIDED, decide
from analysis.statistics.paired import BETTER, EQUIVALENT, INCONCLUSIVE, WORSE, paired, verdicts

MARGIN, LOOKS = 0.01, (5, 10, 20)
LEVELS = (0.01, 0.015, 0.025)  # 5 % in all, of which a look has a fifth, three tenths and a half


def _differences(*means: float, spread: float = 0.002, replicates: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(np.reshape(means, (-1, 1)), spread, (len(means), replicates))


def test_a_clear_difference_falls_at_the_first_look_in_its_direction() -> None:
    decided = decide(_differences(0.05, -0.05), MARGIN, LOOKS, LEVELS)
    assert decided.verdict.tolist() == [BETTER, WORSE]
    assert decided.look.tolist() == [0, 0]


def test_one_look_is_the_ranking_of_a_plain_comparison() -> None:
    for seed in range(50):
        differences = _differences(0.0, 0.004, 0.01, -0.02, spread=0.008, seed=seed)
        alone = verdicts(paired(differences, MARGIN))
        assert decide(differences, MARGIN, (20,), (0.05,)).verdict.tolist() == alone.tolist()


def test_each_look_is_an_exact_t_test_at_its_own_level() -> None:
    differences = _differences(0.0123, spread=0.01)
    looks = decide(differences, MARGIN, LOOKS, LEVELS).taken
    confidences = (0.99, 0.985, 0.975)
    for look, replicates, confidence in zip(looks, LOOKS, confidences, strict=True):
        seen = differences[0, :replicates]
        low, high = stats.t.interval(confidence, replicates - 1, seen.mean(), stats.sem(seen))
        assert (look.tests.low[0], look.tests.high[0]) == pytest.approx((low, high))
    p_value = stats.ttest_1samp(differences[0, :5], 0.0).pvalue
    assert looks[0].p_difference[0] == pytest.approx(min(5 * p_value, 1)), "the first look has a fifth of the 5 %"


@pytest.mark.parametrize(("share", "verdict"), [(0.99, BETTER), (1.01, INCONCLUSIVE)])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_difference_falls_at_a_look_where_its_p_value_is_below_that_looks_level(
    place: int, share: float, verdict: int
) -> None:
    replicates, level = LOOKS[place], LEVELS[place]
    raw = np.random.default_rng(4).normal(size=replicates)
    raw = (raw - raw.mean()) / raw.std(ddof=1)
    t_value = stats.t.isf(share * level / 2, replicates - 1)
    differences = (raw + t_value / np.sqrt(replicates))[None]
    earlier = [1e-12] * place  # levels at which nothing falls
    decided = decide(differences, 1e-6, LOOKS, (*earlier, *LEVELS[place:]))
    assert decided.verdict.tolist() == [verdict]


def test_a_verdict_stays_whatever_comes_after_it() -> None:
    differences = _differences(0.05)
    differences[0, 5:] = -0.05 + 0.001 * np.arange(15)
    assert decide(differences, MARGIN, LOOKS, LEVELS).verdict.tolist() == [BETTER]
    differences[0, 5:] = np.nan  # it gets no more replicates
    assert decide(differences, MARGIN, LOOKS, LEVELS).look.tolist() == [0]


def test_looks_that_were_planned_and_not_taken_keep_their_part_of_the_level() -> None:
    five = _differences(0.05)[:, :5]
    tests = paired(five, MARGIN)
    (taken,) = decide(five, MARGIN, LOOKS, LEVELS).taken
    assert taken.p_difference[0] == pytest.approx(5 * tests.p_difference[0])


def test_what_one_question_has_decided_makes_the_other_no_easier() -> None:
    # Policy 0 is equivalent at the first look. At the second, policy 1 has to pass Holm's first step of two.
    equal = np.tile([-1e-4, 1e-4], 10)[:20]
    wanted = 0.015 / 2  # a p value between Holm's first step of two and of one
    t_value = stats.t.isf((wanted + 0.015) / 4, 9)
    raw = np.random.default_rng(3).normal(size=10)
    raw = (raw - raw.mean()) / raw.std(ddof=1)
    other = 0.03 * (raw + t_value / np.sqrt(10))
    differences = np.stack([equal[:10], other])
    decided = decide(differences, 0.0005, LOOKS, LEVELS)
    assert decided.verdict.tolist() == [EQUIVALENT, INCONCLUSIVE]
    assert decided.look.tolist() == [0, UNDECIDED]
    assert wanted < stats.ttest_1samp(other, 0.0).pvalue < 0.015


def test_a_policy_that_its_own_question_has_decided_makes_it_easier_for_the_rest() -> None:
    better = np.concatenate([0.05 + 1e-4 * np.arange(5), np.full(5, np.nan)])
    raw = np.random.default_rng(3).normal(size=10)
    raw = (raw - raw.mean()) / raw.std(ddof=1)
    t_value = stats.t.isf((0.015 / 2 + 0.015) / 4, 9)
    differences = np.stack([better, 0.03 * (raw + t_value / np.sqrt(10))])
    assert decide(differences, 0.0005, LOOKS, LEVELS).verdict.tolist() == [BETTER, BETTER]


def test_replicates_that_do_not_differ_decide_nothing_and_keep_their_part() -> None:
    decided = decide(np.zeros((1, 20)), MARGIN, LOOKS, LEVELS)
    assert decided.verdict.tolist() == [INCONCLUSIVE]
    assert decided.look.tolist() == [UNDECIDED]


def test_many_comparisons_at_once_are_the_same_as_one_by_one() -> None:
    many = np.stack([_differences(0.0, 0.01, spread=0.006, seed=seed) for seed in range(30)])
    together = decide(many, MARGIN, LOOKS, LEVELS)
    for one, verdict, look in zip(many, together.verdict, together.look, strict=True):
        alone = decide(one, MARGIN, LOOKS, LEVELS)
        assert (alone.verdict.tolist(), alone.look.tolist()) == (verdict.tolist(), look.tolist())
