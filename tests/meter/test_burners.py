"""The node's meter on real processes whose exact CPU seconds the kernel tells: shares, children, deaths.

The power model gives 1 J per CPU second and nothing else, so that joules are the CPU seconds that were charged.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from burners import burners

from tune_kd.meter.node import NodeMeter, TrialEnergy
from tune_kd.meter.power_model import PowerModel, this_machine
from tune_kd.meter.readings import NodeReaders

SHARE_ERROR = 0.005
TICKS_S = 0.02  # the kernel tells another process's user and system time in whole ticks of 10 ms


@contextmanager
def ticking(meter: NodeMeter, period_s: float) -> Iterator[threading.Lock]:
    """Ticks as the actor does; hold the lock for any other call, as its event loop would."""
    over, lock = threading.Event(), threading.Lock()

    def tick() -> None:
        while not over.wait(period_s):
            with lock:
                meter.tick()

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield lock
    finally:
        over.set()
        thread.join()


def joule_per_cpu_second() -> NodeMeter:
    cpus = this_machine().cpus
    power = PowerModel(cpus=cpus, cpu_watts=cpus, ram_gib=0, ram_watts_per_gib=0, idle_share=0, source="1 J per CPU s")
    return NodeMeter(NodeReaders(power), period_s=0.25)


def meter_burners(*kinds: tuple[str, float]) -> tuple[list[float], list[TrialEnergy], NodeMeter]:
    """Exact CPU seconds of each burner, what it was charged, and the meter."""
    meter = joule_per_cpu_second()
    with burners(*kinds) as running, ticking(meter, 0.25) as lock:
        for index, burner in enumerate(running):
            with lock:
                meter.register(str(index), burner.process.pid, cpus=1)
        for burner in running:
            burner.tell()
        exact = [burner.exact_cpu_s() for burner in running]
        with lock:
            charged = [meter.unregister(str(index)) for index in range(len(running))]
    return exact, charged, meter


def shares(amounts: list[float]) -> list[float]:
    return [amount / sum(amounts) for amount in amounts]


def joules(charged: list[TrialEnergy]) -> list[float]:
    return [account.energy.cpu_j or 0.0 for account in charged]


def check_against_exact(*kinds: tuple[str, float]) -> None:
    exact, charged, meter = meter_burners(*kinds)
    for found, true in zip(shares(joules(charged)), shares(exact), strict=True):
        assert abs(found - true) <= SHARE_ERROR
    totals = meter.snapshot().totals
    assert abs(totals.residual_j) <= 1e-9 * totals.total_j
    assert totals.other_j >= 0
    # Charged seconds against exact ones: 10 ms is the kernel's tick, at either end.
    assert sum(joules(charged)) == pytest.approx(sum(exact), rel=0.02, abs=TICKS_S * len(exact))


@pytest.mark.parametrize("cpu_s", [(2.0,), (2.0, 4.0), (0.6, 1.2, 1.8, 2.4)])
def test_concurrent_burners_are_charged_in_proportion_to_their_exact_cpu_seconds(cpu_s: tuple[float, ...]) -> None:
    check_against_exact(*[("alone", seconds) for seconds in cpu_s])


def test_a_forking_trial_is_charged_for_the_children_it_has_waited_for() -> None:
    check_against_exact(("alone", 2.5), ("forking", 2.5))


@pytest.mark.slow
def test_the_share_error_over_ten_seconds_is_at_most_half_a_percentage_point() -> None:
    check_against_exact(("alone", 10.0), ("forking", 10.0), ("alone", 5.0))


def test_a_killed_trial_keeps_its_energy_and_takes_none_of_its_neighbours() -> None:
    meter = joule_per_cpu_second()
    with burners(("endless", 0), ("alone", 1.5), ("alone", 1.0)) as (killed, first, second):
        with ticking(meter, 0.1) as lock:
            before_s = killed.told_cpu_s()
            for name, burner in (("killed", killed), ("first", first)):
                with lock:
                    meter.register(name, burner.process.pid, cpus=1)
                burner.tell()
            exact_first_s = first.exact_cpu_s()
            with lock:
                least_s = killed.told_cpu_s() - before_s
                meter.tick()  # up to here at least it is charged: what is later may be lost with it
            killed.process.send_signal(signal.SIGKILL)
            os.waitid(os.P_PID, killed.process.pid, os.WEXITED | os.WNOWAIT)
            most_s = killed.told_cpu_s() - before_s
            killed.process.wait()
            with lock:
                meter.tick()
                at_death = meter.snapshot().trials["killed"]
                meter.register("second", second.process.pid, cpus=1)
            second.tell()
            exact_second_s = second.exact_cpu_s()
        accounts = {name: meter.unregister(name) for name in ("killed", "first", "second")}
    assert at_death.state == "lost"
    assert accounts["killed"] == at_death
    assert 0.95 * least_s - TICKS_S <= (at_death.energy.cpu_j or 0) <= most_s + TICKS_S
    # Far from the seconds of the killed one; the ticks of both ends are within 0.1 s.
    assert accounts["first"].energy.cpu_j == pytest.approx(exact_first_s, abs=0.1)
    assert accounts["second"].energy.cpu_j == pytest.approx(exact_second_s, abs=0.1)
    totals = meter.snapshot().totals
    assert abs(totals.residual_j) <= 1e-9 * totals.total_j
