"""Energy: sums of what is known, differences of marks, and a method for every figure."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_kd.meter.energy import COMPONENTS, METHODS, Energy, combined

joules = st.none() | st.floats(0, 1e9)


@st.composite
def energies(draw: st.DrawFn) -> Energy:
    parts = {name: draw(joules) for name in COMPONENTS}
    measured = any(part is not None for part in parts.values())
    return Energy(**parts, method=draw(st.sampled_from(METHODS)) if measured else None)


def test_nothing_measured_is_none_and_not_zero() -> None:
    assert Energy().total_j is None
    assert Energy(cpu_j=0.0, method="model").total_j == 0.0


def test_the_total_is_the_sum_of_what_is_known() -> None:
    assert Energy(cpu_j=1.0, ram_j=2.5, idle_j=0.5, method="model").total_j == 4.0


@settings(deadline=None)
@given(first=energies(), second=energies())
def test_subtracting_what_was_added_gives_the_first_back(first: Energy, second: Energy) -> None:
    difference = (first + second) - second
    for name in COMPONENTS:
        before, between = getattr(first, name), getattr(difference, name)
        if getattr(second, name) is None:
            assert between is None  # unknown at one mark: unknown between the two
        else:
            assert math.isclose(between, before or 0.0, abs_tol=1e-6)


@settings(deadline=None)
@given(first=energies(), second=energies())
def test_addition_commutes_and_unmeasured_is_its_zero(first: Energy, second: Energy) -> None:
    assert first + second == second + first
    assert first + Energy() == first


def test_unlike_methods_are_mixed_and_like_ones_stay() -> None:
    assert combined("counter", None, "counter") == "counter"
    assert combined("counter", "model") == "mixed"
    assert combined(None, None) is None


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"cpu_j": math.nan, "method": "model"}, "cpu_j"),
        ({"gpu_j": math.inf, "method": "model"}, "gpu_j"),
        ({"cpu_j": 1.0, "method": "guess"}, "guess"),
        ({"cpu_j": 1.0}, "method"),
        ({"method": "model"}, "joules"),
    ],
)
def test_a_figure_without_a_method_or_without_a_value_is_refused(fields: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Energy(**fields)  # type: ignore[arg-type]


def test_scaling_keeps_what_is_unmeasured_unmeasured() -> None:
    assert Energy(cpu_j=4.0, method="model").scaled(0.5) == Energy(cpu_j=2.0, method="model")
