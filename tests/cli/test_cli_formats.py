"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_kd import formats

WH = 3600.0


@pytest.mark.parametrize(
    ("joules", "text"),
    [
        (None, "—"),
        (0, "0 Wh"),
        (3.6, "1.00 mWh"),
        (0.0012 * 3.6, "0.00120 mWh"),
        (0.5 * WH, "500 mWh"),
        (WH, "1.00 Wh"),
        (999.4 * WH, "999 Wh"),
        (1000 * WH, "1.00 kWh"),
        (12_345_000 * WH, "12345 kWh"),
    ],
)
def test_energy_is_shown_in_the_unit_that_suits_it(joules: float | None, text: str) -> None:
    assert formats.energy(joules) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "—"),
        (0, "0.0 s"),
        (1.34, "1.3 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3725, "1 h 02 min"),
        (86400 * 3 + 3600 * 4, "3 d 04 h"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("limit", "currency", "text"),
    [
        (20, "trials", "20 trials"),
        (1, "trials", "1 trial"),
        (400, "epochs", "400 epochs"),
        (50 * WH, "joules", "50.0 Wh"),
        (600, "seconds", "10 min 00 s"),
        (15, "gco2e", "15 g CO2e"),
        (3e15, "flops", "3e+15 FLOPs"),
    ],
)
def test_a_budget_is_said_in_the_words_it_was_typed_in(limit: float, currency: str, text: str) -> None:
    assert formats.amount(limit, currency) == text


@given(st.floats(min_value=1e-6, max_value=1e15))
def test_significant_digits_keep_the_value(value: float) -> None:
    shown = formats.significant(value)
    assert float(shown) == pytest.approx(value, rel=0.005)
    assert "e" not in shown


@given(st.floats(min_value=1e-3, max_value=0.999))
def test_three_significant_digits_are_three(value: float) -> None:
    digits = formats.significant(value).replace(".", "").lstrip("0")
    assert len(digits) == 3


@given(st.integers(min_value=1, max_value=10**17))
def test_sizes_keep_the_value(count: int) -> None:
    shown, unit = formats.size(count).split()
    power = ("bytes", "KiB", "MiB", "GiB", "TiB").index(unit)
    assert float(shown) * 1024**power == pytest.approx(count, rel=0.005)


def test_what_has_no_value_is_a_dash_and_never_zero() -> None:
    assert [formats.percent(None), formats.energy(None), formats.duration(None), formats.tau(None, None)] == ["—"] * 4
    assert formats.percent(0.0) == "0.0 %"
    assert [formats.percentage(None), formats.percent(float("nan")), formats.emissions(None)] == ["—"] * 3
    assert (formats.percentage(0.9081, 2), formats.emissions(12.34)) == ("90.81", "12.3 g")


def test_a_count_may_be_a_fraction() -> None:
    assert [formats.plural(count, "CPU") for count in (0.5, 1.0, 2.0)] == ["0.5 CPUs", "1 CPU", "2 CPUs"]
    assert formats.significant(math.inf) == "inf"


def test_tau_is_one_value_or_a_range() -> None:
    assert formats.tau(4, 4) == "4"
    assert formats.tau(2, 19.5) == "2–19.5"


@pytest.mark.parametrize(
    ("km", "text"),
    [(None, "—"), (0.0000031, "3.10 mm"), (0.0166, "16.6 m"), (1.0, "1.00 km"), (1234.5, "1234 km"), (0.0, "0 mm")],
)
def test_distances_are_shown_in_the_unit_that_suits_them(km: float | None, text: str) -> None:
    assert formats.distance(km) == text


def test_words_agree_with_their_number() -> None:
    assert [formats.plural(count, "trial") for count in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]
    assert formats.plural(3, "policy") == "3 policies"


def test_hyperparameters_are_shown_with_all_that_is_searched() -> None:
    assert formats.params({"tau": 4}) == "τ 4"
    assert formats.params({"alpha": 0.5, "tau": 2.5}) == "τ 2.5, α 0.5"
    assert formats.params({"tau_low": 2, "tau_high": 20, "tau_step": 1, "alpha": 0.9}) == "τ 2–20, α 0.9"
    assert formats.params({"alpha": 0.9}, 3, 12) == "τ 3–12, α 0.9"
    assert formats.params({"beta": 8}) == "beta 8"
    assert formats.params({}) == "—"
