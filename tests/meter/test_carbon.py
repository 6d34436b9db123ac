"""Carbon: the user's number, the country's, the world's, in this order, and never another in silence."""

import math

import pytest

from tune_kd.errors import InputError
from tune_kd.meter.carbon import CAR_G_PER_KM, Carbon, car_km, carbon


def test_a_kilowatt_hour_costs_the_intensity_times_the_pue() -> None:
    assert Carbon(intensity_g_per_kwh=300, source="a test", pue=1.67).co2e_g(3.6e6) == pytest.approx(501)


def test_the_papers_figure_comes_out() -> None:
    """CIFAR-10, HKD, stochastic: 0.21 kWh and 61.76 g at 294.21 g/kWh; the energy in its table has PUE in it."""
    assert carbon(intensity_g_per_kwh=294.21).co2e_g(0.21 * 3.6e6) == pytest.approx(61.76, rel=0.01)


def test_unmeasured_energy_has_unmeasured_co2e() -> None:
    assert carbon(country="BGD").co2e_g(None) is None
    assert car_km(None) is None


def test_a_country_brings_its_intensity_region_year_and_source() -> None:
    bangladesh = carbon(country="bgd")
    assert bangladesh.intensity_g_per_kwh == pytest.approx(691.4, abs=50)
    assert bangladesh.region == "BGD"
    assert bangladesh.year is not None
    assert bangladesh.year >= 2022
    assert "Bangladesh" in bangladesh.source
    assert "codecarbon" in bangladesh.source


def test_the_users_number_comes_before_the_country_and_says_so() -> None:
    assert carbon(country="BGD", intensity_g_per_kwh=10).intensity_g_per_kwh == 10
    assert carbon(intensity_g_per_kwh=10).source == "given by the user"


def test_without_a_country_the_world_average_is_said_aloud() -> None:
    assert carbon().intensity_g_per_kwh == 475
    assert "world average" in carbon().source


@pytest.mark.parametrize(
    ("given", "nearest"), [("BGT", "BGR"), ("Bangladesch", "BGD"), ("germany", "DEU"), ("ZZ", "unknown country 'ZZ'")]
)
def test_an_unknown_country_is_an_error_with_the_nearest(given: str, nearest: str) -> None:
    with pytest.raises(InputError, match=nearest):
        carbon(country=given)


@pytest.mark.parametrize(
    ("code", "region"),
    [("UK", "GBR"), ("gb", "GBR"), ("DE", "DEU"), ("US", "USA"), ("EL", "GRC"), ("GR", "GRC"), (" deu ", "DEU")],
)
def test_a_country_has_several_codes(code: str, region: str) -> None:
    assert carbon(country=code) == carbon(country=region)
    assert carbon(country=code).region == region


def test_an_unknown_country_is_an_error_also_where_it_would_not_be_used() -> None:
    with pytest.raises(InputError, match="unknown country"):
        carbon(country="XXX", intensity_g_per_kwh=10)


def test_a_country_without_an_intensity_is_not_free() -> None:
    with pytest.raises(InputError, match="no carbon intensity is known"):
        carbon(country="CAF")


@pytest.mark.parametrize("pue", [0.99, math.nan, math.inf, -1])
def test_a_pue_below_one_is_refused(pue: float) -> None:
    with pytest.raises(InputError, match="PUE"):
        carbon(pue=pue)


@pytest.mark.parametrize("intensity", [-1, math.nan, math.inf])
def test_an_intensity_below_zero_is_refused(intensity: float) -> None:
    with pytest.raises(InputError, match="intensity"):
        carbon(intensity_g_per_kwh=intensity)


def test_grams_are_also_kilometres_of_a_car() -> None:
    assert car_km(CAR_G_PER_KM) == 1.0
