"""The contract of a policy, over every policy of the catalogue, and what each one promises by itself."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.search import Searcher
from scipy.stats import chisquare, kstest
from torch import Tensor

from policies import POLICIES, Policy
from policies.annealing import SHAPES
from policies.base import Constant, Temperature, positive
from search_spaces import SPACES, Dimension, Space
from tune_kd.catalogue import make_policy
from tune_kd.errors import InputError

# Every policy of the catalogue, and every variant that an option makes of it.
LABELS = sorted({*POLICIES, "annealing:shape=cosine", "annealing:shape=exponential", "stochastic:continuous=true"})
EPOCHS, STEPS = 4, 6
TAU = SPACES["tau"]
COARSE = Space(name="coarse", dimensions={"tau": Dimension(low=2, high=20, step=4)})  # 2, 6, 10, 14, 18
REAL = Space(name="real", dimensions={"tau": Dimension(low=0.5, high=8)})
SINGLE = Space(name="single", dimensions={"tau": Dimension(low=4, high=4, step=1)})

every_policy = pytest.mark.parametrize("label", LABELS)


def suggestions(searcher: Searcher, count: int, accuracy: Any = None) -> list[dict[str, float]]:
    """What a searcher suggests when each trial ends before the next; ``accuracy`` of the parameters, by default ½."""
    found: list[dict[str, float]] = []
    for index in range(count):
        params = searcher.suggest(f"trial-{index}")
        if not isinstance(params, dict):
            break
        found.append(params)
        result = {"val_accuracy": 0.5 if accuracy is None else accuracy(params), "training_iteration": 1}
        searcher.on_trial_complete(f"trial-{index}", result=result)
    return found


def first_params(policy: Policy, space: Space) -> dict[str, float]:
    return suggestions(policy.searcher(space, 0), 1)[0]


def epoch_taus(temperature: Temperature, epoch: int, *, epochs: int = EPOCHS, steps: int = STEPS) -> Tensor:
    """The student's τ of every batch of one epoch."""
    temperature.begin_epoch(epoch, epochs, steps)
    logits = torch.zeros(2, 3)
    return torch.stack([temperature(step, logits, logits).tau_student for step in range(steps)])


def all_taus(temperature: Temperature, *, epochs: int = EPOCHS, steps: int = STEPS) -> Tensor:
    return torch.cat([epoch_taus(temperature, epoch, epochs=epochs, steps=steps) for epoch in range(epochs)])


# The contract


@every_policy
@pytest.mark.parametrize("space", [TAU, SPACES["tau-alpha"], COARSE, SINGLE], ids=lambda space: space.name)
def test_every_temperature_lies_in_the_space(label: str, space: Space) -> None:
    policy = make_policy(label)
    for params in suggestions(policy.searcher(space, 3), 12):
        taus = all_taus(policy.temperature(params, seed=5))
        assert taus.isfinite().all()
        assert space.tau.low <= taus.min().item() <= taus.max().item() <= space.tau.high
        if "alpha" in params:
            assert params["alpha"] in space.dimensions["alpha"].levels()


@every_policy
@settings(max_examples=20)
@given(batch=st.integers(1, 300), classes=st.integers(2, 300), seed=st.integers(0, 2**31 - 1))
def test_any_batch_and_any_number_of_classes_can_be_softened(label: str, batch: int, classes: int, seed: int) -> None:
    policy = make_policy(label)
    temperature = policy.temperature({"tau": 4.0, **policy.restart_params(TAU)}, seed)
    temperature.begin_epoch(0, 1, 2)
    student, teacher = torch.randn(2, batch, classes, generator=torch.Generator().manual_seed(seed))
    for step in range(2):
        for factor in temperature(step, student, teacher):
            assert factor.shape in ((), (batch, 1))
            assert factor.isfinite().all()
            assert (factor > 0).all()


@every_policy
def test_the_same_seed_gives_the_same_temperatures(label: str) -> None:
    policy = make_policy(label)
    params = first_params(policy, TAU)
    first, second = (all_taus(policy.temperature(params, seed=7)) for _ in range(2))
    assert torch.equal(first, second)


@every_policy
def test_another_seed_gives_others_where_they_are_random(label: str) -> None:
    policy = make_policy(label)
    params = first_params(policy, TAU)
    first, second = (all_taus(policy.temperature(params, seed=seed), steps=50) for seed in (7, 8))
    assert torch.equal(first, second) == (not label.startswith("stochastic"))


@every_policy
@pytest.mark.parametrize("done", range(1, EPOCHS))
def test_a_resumed_temperature_goes_on_as_if_never_stopped(label: str, done: int) -> None:
    policy = make_policy(label)
    params = first_params(policy, TAU)
    whole, stopped = (policy.temperature(params, seed=7) for _ in range(2))
    expected = [epoch_taus(whole, epoch) for epoch in range(EPOCHS)]
    for epoch in range(done):
        epoch_taus(stopped, epoch)
    resumed = policy.temperature(params, seed=7)
    resumed.load_state_dict(stopped.state_dict())
    for epoch in range(done, EPOCHS):
        assert torch.equal(epoch_taus(resumed, epoch), expected[epoch])


@every_policy
def test_drawing_temperatures_leaves_the_global_random_state_alone(label: str) -> None:
    policy = make_policy(label)
    before = torch.get_rng_state()
    all_taus(policy.temperature(first_params(policy, TAU), seed=7))
    assert torch.equal(torch.get_rng_state(), before)


@every_policy
def test_the_weight_is_the_square_of_the_common_temperature(label: str) -> None:
    policy = make_policy(label)
    temperature = policy.temperature(first_params(policy, TAU), seed=7)
    temperature.begin_epoch(0, 1, STEPS)
    for step in range(STEPS):
        softening = temperature(step, torch.zeros(2, 3), torch.zeros(2, 3))
        assert torch.equal(softening.tau_student, softening.tau_teacher)
        assert softening.weight.item() == pytest.approx(softening.tau_student.item() ** 2, rel=1e-6)


@every_policy
def test_a_policy_says_whether_its_temperature_moves_within_a_trial(label: str) -> None:
    policy = make_policy(label)
    taus = all_taus(policy.temperature(first_params(policy, TAU), seed=7), steps=50)
    assert policy.moves_within == (len(taus.unique()) > 1)


@every_policy
def test_the_same_seed_searches_the_same_way(label: str) -> None:
    policy = make_policy(label)
    first, second = (suggestions(policy.searcher(TAU, 11), 16) for _ in range(2))
    assert first == second


@every_policy
def test_a_searcher_suggests_as_many_trials_as_the_recipe_has(label: str) -> None:
    policy = make_policy(label)
    native = policy.native_trials(SPACES["tau-alpha"])
    assert native is None or len(suggestions(policy.searcher(SPACES["tau-alpha"], 0), native)) == native


def test_the_catalogue_goes_by_the_policies_own_names() -> None:
    assert POLICIES.keys() >= {"grid", "random", "tpe", "annealing", "stochastic"}
    assert all(policy.name == name for name, policy in POLICIES.items())


# Grid


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


# Random


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


# TPE


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
            result = {"val_accuracy": hill(running.pop(ended)), "training_iteration": 1}
            searcher.on_trial_complete(ended, result=result)
    assert found == expected


def test_tpe_goes_on_after_a_trial_that_failed() -> None:
    searcher = make_policy("tpe:startup=2").searcher(TAU, 0)
    for index in range(12):
        params = searcher.suggest(f"trial-{index}")
        assert isinstance(params, dict)
        if index % 3:
            result = {"val_accuracy": hill(params), "training_iteration": 1}
            searcher.on_trial_complete(f"trial-{index}", result=result)
        else:
            searcher.on_trial_complete(f"trial-{index}", error=True)


# Stochastic


def test_stochastic_draws_the_integers_2_to_20_with_equal_chance() -> None:
    taus = all_taus(make_policy("stochastic").temperature({}, seed=0), epochs=10, steps=950)
    values, counts = taus.unique(return_counts=True)
    assert values.tolist() == list(range(2, 21))
    assert chisquare(counts).pvalue > 0.001


def test_stochastic_draws_are_as_uniform_across_epochs_as_within_one() -> None:
    """Each epoch has a generator of its own: their seeds must not show in the first draws."""
    temperature = make_policy("stochastic").temperature({}, seed=1)
    firsts = torch.stack([epoch_taus(temperature, epoch, epochs=3800, steps=1)[0] for epoch in range(3800)])
    assert chisquare(firsts.unique(return_counts=True)[1]).pvalue > 0.001
    assert abs(torch.corrcoef(torch.stack([firsts[:-1], firsts[1:]]))[0, 1].item()) < 4 / math.sqrt(3800)


def test_stochastic_draws_one_temperature_a_batch_and_keeps_it() -> None:
    temperature = make_policy("stochastic").temperature({}, seed=0)
    temperature.begin_epoch(0, 1, 40)
    logits = torch.zeros(8, 3)
    softenings = [temperature(step, logits, logits) for step in range(40)]
    assert all(softening.tau_student.shape == () for softening in softenings)
    again = [temperature(step, logits, logits) for step in range(40)]
    assert softenings == again
    assert len({softening.tau_student.item() for softening in softenings}) > 10


def test_stochastic_follows_the_levels_of_the_space() -> None:
    policy = make_policy("stochastic")
    taus = all_taus(policy.temperature(policy.restart_params(COARSE), seed=0), steps=50)
    assert taus.unique().tolist() == COARSE.tau.levels()


@pytest.mark.parametrize(
    ("label", "space"), [("stochastic:continuous=true", TAU), ("stochastic", REAL)], ids=["on request", "in the space"]
)
def test_stochastic_is_continuous_on_request_or_where_the_space_is(label: str, space: Space) -> None:
    policy = make_policy(label)
    taus = all_taus(policy.temperature(policy.restart_params(space), seed=0), epochs=4, steps=500)
    low, high = space.tau.low, space.tau.high
    assert kstest(taus.numpy(), "uniform", args=(low, high - low)).pvalue > 0.001


@given(seed=st.integers(0, 2**31 - 1), other=st.integers(0, 2**31 - 1))
def test_trials_of_different_seeds_draw_independently(seed: int, other: int) -> None:
    first, second = (all_taus(make_policy("stochastic").temperature({}, s), epochs=2, steps=64) for s in (seed, other))
    agreement = (first == second).float().mean().item()
    # 1 of 19 agrees by chance; half of 128 is 20 standard deviations from that.
    assert agreement == 1 if seed == other else agreement < 0.5


# Annealing


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


# Options and temperatures that cannot be


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("annealing:shape=cos", ["annealing", "shape", "linear, cosine, exponential", "'cos'"]),
        ("tpe:startup=0", ["tpe", "startup", "≥ 1", "0"]),
        ("asha:grace=0", ["asha", "grace", "≥ 1", "0"]),
        ("asha:reduction=1", ["asha", "reduction", "≥ 2", "1"]),
        ("tpe:startup=many", ["tpe", "startup", "whole number", "many"]),
        ("tpe:startup=2.5", ["tpe", "startup", "whole number", "2.5"]),
        ("tpe:startupp=3", ["tpe", "'startupp'", "did you mean 'startup'"]),
        ("stochastic:continuous=1", ["stochastic", "continuous", "true or false", "1"]),
        ("grid:step=1", ["grid", "no options", "step=1"]),
        ("annealng", ["'annealng'", "did you mean 'annealing'", "stochastic"]),
        ("", ["''", "grid"]),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_one_line(label: str, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        make_policy(label)
    text = str(refused.value)
    assert "\n" not in text
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("tau", [0.0, -4.0, math.nan, math.inf])
def test_a_temperature_is_finite_and_positive(tau: float) -> None:
    with pytest.raises(ValueError, match="tau must be a finite number > 0, got"):
        Constant(tau)
    with pytest.raises(ValueError, match=r"tau_low must be .*, got"):
        positive("tau_low", tau)
    for label in ("annealing", "stochastic"):
        with pytest.raises(ValueError, match=r"tau_low must be .*, got"):
            make_policy(label).temperature({"tau_low": tau, "tau_high": 20}, seed=0)
