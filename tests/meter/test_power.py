"""The power model: where its watts come from, and that the source says so."""

import pytest

from tune_kd.errors import InputError
from tune_kd.meter.power_model import IDLE_SHARE, Machine, PowerModel, detect, modelled_cpu_watts, this_machine


def machine(cpu_model: str | None, cpus: int = 8, sockets: int = 1, virtual: bool = False) -> Machine:
    return Machine(cpu_model=cpu_model, cpus=cpus, sockets=sockets, virtual=virtual, ram_gib=16)


@pytest.mark.parametrize(
    ("name", "watts"),
    [
        ("Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", 65),
        ("Intel(R) Core(TM) i7-8700K CPU @ 3.70GHz", 95),
        ("11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", 28),
        ("AMD Ryzen 7 5800X 8-Core Processor", 105),
        ("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", 115),
        ("Intel(R) Xeon(R) CPU E5-2670 v3 @ 2.30GHz", 120),
    ],
)
def test_a_known_cpu_has_its_tdp(name: str, watts: float) -> None:
    assert modelled_cpu_watts(machine(name))[0] == watts


def test_two_sockets_have_it_twice() -> None:
    assert modelled_cpu_watts(machine("AMD EPYC 7763 64-Core Processor", cpus=256, sockets=2))[0] == 560


def test_a_slice_of_a_known_host_gets_its_slice_of_the_tdp() -> None:
    watts, source = modelled_cpu_watts(machine("AMD EPYC 7763 64-Core Processor", cpus=8, virtual=True))
    assert watts == 280 * 8 / 128
    assert "8/128 threads" in source


def test_a_slice_of_a_host_of_unknown_size_never_gets_more_than_the_socket() -> None:
    small, source = modelled_cpu_watts(machine("AMD EPYC 7302 16-Core Processor", cpus=2, virtual=True))
    large, _ = modelled_cpu_watts(machine("AMD EPYC 7302 16-Core Processor", cpus=64, virtual=True))
    assert (small, large) == (8, 155)
    assert "virtual machine" in source


@pytest.mark.parametrize("name", ["AMD EPYC", "Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel Core i7-8700Z", None])
def test_an_unknown_cpu_is_never_taken_for_a_similar_one(name: str | None) -> None:
    watts, source = modelled_cpu_watts(machine(name, cpus=2))
    assert watts == 8
    assert "4 W per thread" in source


def test_what_the_user_gives_takes_the_place_of_what_is_looked_up() -> None:
    model = detect(cpu_watts=120, ram_watts_per_gib=0.5, idle_share=0.3, machine=machine("AMD EPYC 7763"))
    assert (model.cpu_watts, model.ram_w, model.cpu_idle_w) == (120, 8, 36)
    assert model.source == "CPU watts given; idle share given; RAM W/GiB given"


def test_every_default_names_its_source() -> None:
    source = detect(machine=machine("AMD EPYC 7763")).source
    assert "codecarbon" in source
    assert "Green Algorithms" in source


def test_full_load_for_a_second_is_the_full_power() -> None:
    model = PowerModel(cpus=4, cpu_watts=100, ram_gib=0, ram_watts_per_gib=0, idle_share=IDLE_SHARE, source="a test")
    assert model.cpu_dynamic_j(busy_s=4) + model.cpu_idle_w == pytest.approx(100)


@pytest.mark.parametrize(
    ("given", "named"),
    [({"cpu_watts": -1}, "cpu watts"), ({"idle_share": 1.5}, "idle share"), ({"ram_watts_per_gib": -1}, "ram")],
)
def test_an_impossible_number_is_refused(given: dict[str, float], named: str) -> None:
    with pytest.raises(InputError, match=named):
        detect(**given, machine=machine("AMD EPYC 7763"))


def test_this_machine_is_described() -> None:
    here = this_machine()
    assert here.cpus >= 1
    assert here.sockets >= 1
    assert here.ram_gib > 0
    assert detect().cpu_watts > 0
