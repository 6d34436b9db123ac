"""When a comparison that stops once it is decided looks: settled with its first runs."""

from __future__ import annotations

import json

import pytest

from analysis.statistics.look_cases import LEVELS, LOOKS
from tune_kd.errors import InputError
from tune_kd.planning.looks import Deciding, Looks, look_levels, look_sizes
from tune_kd.planning.plan import plan_study

UNTIL = {"deciding": Deciding(until_decided=True)}


@pytest.mark.parametrize(
    ("most", "sizes"), [(40, (5, 10, 20, 40)), (30, (5, 10, 20, 30)), (6, (5, 6)), (5, (5,)), (3, (3,))]
)
def test_replicates_double_from_look_to_look_up_to_the_last(most: int, sizes: tuple[int, ...]) -> None:
    assert look_sizes(most) == sizes


@pytest.mark.parametrize(
    ("sizes", "percents"),
    [
        ((5, 10, 20, 40), [1 / 3, 2 / 3, 4 / 3, 8 / 3]),
        ((5, 10, 20, 30), [5 / 13, 10 / 13, 20 / 13, 30 / 13]),
        ((5, 6), [25 / 11, 30 / 11]),
        ((3,), [5]),
    ],
)
def test_the_levels_of_looks_are_parts_of_5_percent_in_proportion_to_their_replicates(
    sizes: tuple[int, ...], percents: list[float]
) -> None:
    assert look_levels(sizes) == pytest.approx([percent / 100 for percent in percents])


def test_the_levels_that_were_simulated_are_those_that_are_planned() -> None:
    assert look_levels(LOOKS) == pytest.approx(LEVELS)
    assert look_sizes(LOOKS[-1]) == LOOKS


def test_the_first_runs_are_those_of_the_first_look_and_know_all_of_them() -> None:
    study = plan_study(policies=["stochastic", "grid"], **UNTIL)
    assert [(plan.replicate, plan.label) for plan in study.runs] == [
        (replicate, label) for replicate in range(5) for label in ("stochastic", "grid")
    ]
    looks = Looks(replicates=(5, 10, 20, 40), levels=look_levels((5, 10, 20, 40)), reference="grid")
    assert {(plan.looks, plan.planned_replicates) for plan in study.runs} == {(looks, 5)}


def test_a_plain_comparison_has_no_looks() -> None:
    assert {plan.looks for plan in plan_study(policies=["fixed", "grid"], replicates=2).runs} == {None}


@pytest.mark.parametrize(
    ("policies", "reference"),
    [(["stochastic", "fixed"], "stochastic"), (["fixed:tau=2", "fixed"], "fixed:tau=2"), (["fixed", "grid"], "grid")],
)
def test_the_reference_is_grid_or_the_first_that_was_named(policies: list[str], reference: str) -> None:
    study = plan_study(policies=policies, **UNTIL)
    assert study.looks is not None
    assert study.looks.reference == reference


def test_looks_are_read_as_they_were_recorded() -> None:
    looks = Looks(replicates=(5, 10), levels=(0.01, 0.04), reference="mine:τ=2")
    assert json.loads(looks.record()) == {"replicates": [5, 10], "levels": [0.01, 0.04], "reference": "mine:τ=2"}
    assert Looks.from_record(looks.record()) == looks


@pytest.mark.parametrize(
    ("options", "asked", "message"),
    [
        ({"max_replicates": 8}, {}, "--max-replicates is for --until-decided; a plain comparison takes --replicates"),
        ({"until_decided": True}, {"replicates": 10}, "got --replicates 10; bound them with --max-replicates 10"),
        ({"until_decided": True, "max_replicates": 1}, {}, "--max-replicates must be ≥ 2, got 1"),
        ({"until_decided": True}, {"policies": ["grid"]}, "compares policies, got only grid; name two or more"),
        ({"until_decided": True}, {"policies": ["grid", "grid"]}, "compares policies, got only grid"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: dict[str, object], asked: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        plan_study(**{"policies": ["fixed", "grid"], **asked}, deciding=Deciding(**options))
