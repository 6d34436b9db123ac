"""Trials that one process trains side by side: equal shares of its energy, and nothing lost by the division."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from fake_nvml import FakeGpu, FakeNvml
from hypothesis import given
from hypothesis import strategies as st
from recorded_host import POWER, RecordedHost

from tune_kd.errors import InputError
from tune_kd.meter import client
from tune_kd.meter.client import TrialMeter
from tune_kd.meter.energy import Energy
from tune_kd.meter.node import NodeMeter, TrialEnergy
from tune_kd.meter.nvml import NvmlReader
from tune_kd.meter.readings import NodeReaders

DYNAMIC_W_PER_CPU = 100 * 0.8 / 2  # of POWER


@pytest.fixture
def computer() -> RecordedHost:
    return RecordedHost()


def metered(computer: RecordedHost, **readers: Any) -> NodeMeter:
    return NodeMeter(NodeReaders(POWER, host=computer.host, **readers))


def names(count: int) -> list[str]:
    return [f"t{number}" for number in range(count)]


def side_by_side(meter: NodeMeter, pid: int, trials: list[str], **reserved: Any) -> None:
    meter.register(trials[0], pid, others=trials[1:], **{"cpus": 1, "run": "r", **reserved})


def test_each_pays_an_equal_share_of_what_one_process_uses_and_reserves(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(10)
    side_by_side(meter, 10, names(4))
    computer.run(1, {10: 1.0, 99: 0.5})
    meter.tick()
    for trial in names(4):
        energy = meter.snapshot().trials[trial].energy
        assert energy.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU / 4)
        assert energy.idle_j == pytest.approx(20 / 2 / 4)  # one of two CPUs is reserved, for all of them
        assert energy.ram_j == pytest.approx(5 / 2 / 4)


def test_marks_are_of_the_same_moment_and_never_fall(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(10)
    side_by_side(meter, 10, names(3))
    computer.run(0.5, {10: 0.5})
    first = meter.marks(names(3))
    assert len({mark.energy.total_j for mark in first}) == 1
    computer.run(0.5, {10: 0.5})
    for before, after in zip(first, meter.marks(names(3)), strict=True):
        assert (after.energy.total_j or 0) >= (before.energy.total_j or 0) > 0


def test_once_one_has_ended_the_others_pay_for_what_follows(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(10)
    side_by_side(meter, 10, names(2))
    computer.run(1, {10: 1.0})
    early = meter.unregister("t0")
    computer.run(1, {10: 1.0})
    late = meter.unregister("t1")
    assert early.state == late.state == "closed"
    assert early.energy.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU / 2)
    assert late.energy.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU * 1.5)
    assert meter.unregister("t0") == early


@given(
    members=st.integers(1, 19),
    used=st.lists(st.floats(0, 1), min_size=1, max_size=6),
    leaves=st.integers(0, 6),
)
def test_members_and_the_rest_of_the_node_add_up_to_the_node(members: int, used: list[float], leaves: int) -> None:
    computer = RecordedHost()
    meter = metered(computer)
    meter.begin("r")
    for pid in (10, 11):
        computer.start(pid)
    side_by_side(meter, 10, names(members), cpus=0.7)
    meter.register("alone", 11, cpus=0.8, run="other")
    for number, cpu_s in enumerate(used):
        computer.run(1, {10: cpu_s, 11: 0.5, 99: 0.3})
        meter.tick()
        if number == leaves:
            meter.unregister("t0")
    trials, totals = meter.snapshot().trials, meter.end("r")
    of_members = math.fsum(trials[name].energy.total_j or 0 for name in names(members))
    assert of_members == pytest.approx(totals.trials_j, rel=1e-12)
    assert totals.residual_j == pytest.approx(0, abs=1e-9)
    rest = (totals.other_runs_j, totals.other_j, totals.idle_j)
    assert math.fsum((of_members, *rest)) == pytest.approx(totals.total_j, rel=1e-12)


def test_a_gpu_that_the_process_has_to_itself_is_divided_too(computer: RecordedHost) -> None:
    gpu = FakeGpu()
    meter = metered(computer, nvml=NvmlReader(FakeNvml(gpu)))
    computer.start(10)
    side_by_side(meter, 10, names(2), gpus={"0": 1.0})
    gpu.energy_mj = 90_000
    computer.run(1, {10: 1.0})
    meter.tick()
    energies = [meter.snapshot().trials[name].energy for name in names(2)]
    assert energies[0] == energies[1]
    assert sum((each.gpu_j or 0) + (each.idle_j or 0) for each in energies) == pytest.approx(90 + 10)


def test_a_process_that_dies_loses_the_accounts_of_all(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(10)
    side_by_side(meter, 10, names(3))
    computer.run(1, {10: 1.0})
    meter.tick()
    computer.end(10)
    meter.tick()
    assert {meter.snapshot().trials[name].state for name in names(3)} == {"lost"}


def test_no_name_is_taken_twice(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(10)
    side_by_side(meter, 10, names(2))
    with pytest.raises(InputError, match="'t1' was metered already"):
        meter.register("t2", 10, cpus=1, others=["t1"])


# What the trials in the process see of it.


def test_members_that_ask_in_turn_share_one_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = iter([1.0, 2.0, 3.0])

    def answer(*_: Any, **__: Any) -> list[TrialEnergy]:
        joules = next(asked)
        return [TrialEnergy(energy=Energy(cpu_j=joules * (1 + n), method="model"), co_tenants=0) for n in range(2)]

    registered, remote = (SimpleNamespace(remote=lambda *_, said=said: said) for said in ("registered", "answer"))
    actor = SimpleNamespace(register=registered, mark=remote, unregister=remote)
    ray = SimpleNamespace(
        get_runtime_context=lambda: SimpleNamespace(get_node_id=lambda: "n"),
        get_actor=lambda _: actor,
        get=lambda reference, timeout: None if reference == "registered" else answer(),
    )
    monkeypatch.setattr(client, "ray", ray)
    first, second = TrialMeter("t0", cpus=1, others=["t1"]).members
    assert [first.mark().cpu_j, second.mark().cpu_j] == [1.0, 2.0]
    assert [second.mark().cpu_j, first.mark().cpu_j] == [4.0, 2.0]
