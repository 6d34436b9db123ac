"""Other programs' load: what this process and its children use is not in it, and a wait ends when it is gone."""

from __future__ import annotations

import pytest

from tune_kd.meter.quiet import SAID_EVERY, Load, look, wait_for_quiet


def test_the_load_is_what_the_machine_did_without_this_process_and_its_children() -> None:
    clock, busy_s, own_s = iter([0.0, 2.0]), iter([100.0, 103.0]), iter([5.0, 6.0])
    load = look(
        2.0,
        sleep=lambda seconds: None,
        clock=lambda: next(clock),
        busy_s=lambda: next(busy_s),
        own_s=lambda: next(own_s),
    )
    assert load.busy_cpus == pytest.approx(1.0)


@pytest.mark.parametrize(("busy_cpus", "quiet"), [(0.0, True), (1.0, True), (1.1, False)])
def test_a_quarter_of_the_cpus_is_quiet_enough(busy_cpus: float, quiet: bool) -> None:
    load = Load(busy_cpus=busy_cpus, cpus=4)
    assert load.is_quiet == quiet
    assert str(load) == f"other programs keep {busy_cpus:.1f} of 4 CPUs busy"


def test_a_wait_ends_with_the_first_quiet_look_and_says_each_minute_what_it_waits_for() -> None:
    looks = iter([*[Load(busy_cpus=2.0, cpus=2)] * (SAID_EVERY + 1), Load(busy_cpus=0.1, cpus=2)])
    said: list[str] = []
    wait_for_quiet(said.append, lambda seconds: next(looks))
    assert said == ["waiting for a quiet machine: other programs keep 2.0 of 2 CPUs busy"] * 2
    assert list(looks) == []
