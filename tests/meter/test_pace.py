"""A trial's energy at its own pace: what a stranger's load adds by the hour is not in it, and who slowed it is told."""

import subprocess
import sys
from pathlib import Path

import pytest
from burners import burners
from hypothesis import example, given
from hypothesis import strategies as st
from recorded_host import POWER, RecordedHost

from tune_kd.meter.attribution import Use
from tune_kd.meter.energy import Energy
from tune_kd.meter.node import NodeMeter
from tune_kd.meter.pace import Pace, pace
from tune_kd.meter.process import ProcessMeter
from tune_kd.meter.rapl import RaplReader
from tune_kd.meter.readings import NodeReaders
from tune_kd.meter.run_queue import NEW, RunQueue, ThreadTimes, threads_of

CPU_W = 100 * 0.8 / 2  # of one busy CPU of POWER, above idle
BY_THE_HOUR_W = (100 * 0.2 + 10 * 0.5) / 2  # idle and RAM of one of its two CPUs
MODEL = Energy(cpu_j=4.0, ram_j=1.0, idle_j=2.0, method="model")


@pytest.fixture
def computer() -> RecordedHost:
    computer = RecordedHost()
    computer.start(10)
    return computer


def metered(computer: RecordedHost, **readers: object) -> NodeMeter:
    meter = NodeMeter(NodeReaders(POWER, host=computer.host, **readers))  # type: ignore[arg-type]
    meter.register("a", 10, cpus=1)
    return meter


def test_a_trial_that_a_stranger_slows_threefold_costs_at_its_own_pace_what_it_costs_undisturbed(
    computer: RecordedHost,
) -> None:
    meter = metered(computer)
    for _ in range(3):  # a second of work in three: two thirds of the time the stranger has the CPU
        computer.run(1.0, {10: 1 / 3, 99: 5 / 3})
        computer.thread(10, 10, wait_s=2 / 3)
        meter.tick()
    found = meter.unregister("a")
    assert found.energy.total_j == pytest.approx(CPU_W + 3 * BY_THE_HOUR_W)
    assert found.pace.own_j == pytest.approx(CPU_W + BY_THE_HOUR_W)
    assert found.pace.method == "run-time"
    assert (found.pace.metered_s, found.pace.cpu_s) == pytest.approx((3.0, 1.0))
    assert (found.pace.wait_s, found.pace.wait_other_s, found.pace.other_cpu_s) == pytest.approx((2.0, 2.0, 5.0))


def test_a_wait_for_other_trials_is_told_from_a_wait_for_strangers(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(11)
    meter.register("sibling", 11, cpus=1)
    computer.run(1.0, {10: 0.5, 11: 1.0, 99: 0.25})
    computer.thread(10, 10, wait_s=0.5)
    found = meter.mark("a").pace
    assert found.wait_s == pytest.approx(0.5)
    assert found.wait_other_s == pytest.approx(0.5 * 0.25 / 1.25)
    meter.tick()
    assert meter.mark("a").pace == found


def test_nobody_waits_on_a_calm_machine(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.run(1.0, {10: 1.0})
    found = meter.unregister("a")
    assert found.pace.own_j == found.energy.total_j == pytest.approx(CPU_W + BY_THE_HOUR_W)
    assert (found.pace.wait_s, found.pace.wait_other_s) == (0.0, 0.0)


def test_threads_that_compute_together_take_as_long_as_the_slowest(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.run(1.0, {10: 1.0})
    computer.thread(10, 100, wait_s=0.25)
    computer.thread(10, 101, wait_s=0.75)
    meter.tick()
    computer.run(1.0, {10: 1.0})
    computer.thread(10, 100, wait_s=0.5)
    assert meter.unregister("a").pace.wait_s == pytest.approx(0.75 + 0.5)


def test_what_a_trial_waits_for_its_driver_and_its_meter_is_not_its_own_pace(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.run(1.0, {10: 0.75})  # a quarter of it asleep, while nobody else computes
    found = meter.unregister("a")
    assert found.energy.total_j == pytest.approx(0.75 * CPU_W + BY_THE_HOUR_W)
    assert found.pace.own_j == pytest.approx(0.75 * (CPU_W + BY_THE_HOUR_W))
    assert found.pace.wait_s == 0.0


def test_what_a_trial_waits_for_its_gpu_is_its_own_pace() -> None:
    threads = ThreadTimes(run_s=1.0, wait_s=0.5)  # of four seconds, the rest of them the GPU's
    found = pace(4.0, Use(cpus=1, cpu_s=1.0, threads=threads, gpu_shares={0: 1.0}), MODEL, 3.0)
    assert found.own_j == pytest.approx(7.0 - 3.0 * 0.5 / 4.0)
    assert found.method == "run-queue"


def test_what_a_counter_measures_stays_as_it_is(computer: RecordedHost, tmp_path: Path) -> None:
    domain = tmp_path / "intel-rapl:0"
    for name, folder in (("package-0", domain), ("dram", domain / "intel-rapl:0:0")):
        folder.mkdir()
        (folder / "name").write_text(name)
        (folder / "energy_uj").write_text("0")
        (folder / "max_energy_range_uj").write_text("262143328850")
    (tmp_path / "intel-rapl:0:0").symlink_to(domain / "intel-rapl:0:0")
    meter = metered(computer, rapl=RaplReader(tmp_path))
    computer.run(1.0, {10: 0.5, 99: 1.5})
    computer.thread(10, 10, wait_s=0.5)
    (domain / "energy_uj").write_text("50000000")
    (domain / "intel-rapl:0:0" / "energy_uj").write_text("4000000")
    found = meter.unregister("a")
    assert found.energy.method == "counter"
    assert found.pace.own_j == found.energy.total_j
    assert (found.pace.method, found.pace.wait_s) == ("counter", 0.5)


def test_where_the_kernel_tells_of_no_wait_the_pace_is_that_of_the_cpu_seconds(computer: RecordedHost) -> None:
    computer.threads = None
    meter = metered(computer)
    computer.run(4.0, {10: 1.0, 99: 3.0})
    found = meter.unregister("a")
    assert found.pace.own_j == pytest.approx(CPU_W + BY_THE_HOUR_W)
    assert (found.pace.method, found.pace.wait_s, found.pace.wait_other_s) == ("cpu-time", None, None)


def test_a_trial_on_a_gpu_may_have_waited_for_that_so_without_waits_its_pace_is_unknown() -> None:
    found = pace(4.0, Use(cpus=1, cpu_s=1.0, gpu_shares={0: 1.0}), MODEL, 3.0)
    assert (found.own_j, found.method) == (None, None)


def test_a_trial_whose_process_dies_keeps_its_pace(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.run(1.0, {10: 0.5, 99: 1.5})
    computer.thread(10, 10, wait_s=0.5)
    meter.tick()
    computer.run(0.5, {99: 1.0})
    computer.end(10)
    meter.tick()
    found = meter.snapshot().trials["a"]
    assert found.state == "lost"
    assert found.pace.own_j == pytest.approx(CPU_W * 0.5 + BY_THE_HOUR_W * 0.5)


seconds = st.floats(0, 1e6)


@given(
    duration_s=seconds,
    cpu_s=seconds,
    threads=st.none() | st.builds(ThreadTimes, seconds, seconds),
    others_s=seconds,
    siblings_s=seconds,
)
@example(
    duration_s=9.0, cpu_s=1.0, threads=ThreadTimes(1.0, 6.781757952769475), others_s=5.447021635789044, siblings_s=0.0
)
def test_own_pace_is_at_least_the_energy_by_use_and_at_most_all_of_it(
    duration_s: float, cpu_s: float, threads: ThreadTimes | None, others_s: float, siblings_s: float
) -> None:
    use = Use(cpus=1, cpu_s=cpu_s, threads=threads)
    found = pace(duration_s, use, MODEL, 3.0, other_cpu_s=others_s, siblings_cpu_s=siblings_s)
    assert found.own_j is not None
    assert 4.0 <= found.own_j <= 7.0
    if threads is not None:
        assert found.wait_s is not None
        assert found.wait_other_s is not None
        assert 0 <= found.wait_other_s <= found.wait_s <= duration_s


def test_what_is_unknown_in_one_interval_is_unknown_in_the_sum() -> None:
    known = Pace(metered_s=1.0, cpu_s=1.0, wait_s=0.5, wait_other_s=0.5, other_cpu_s=1.0, own_j=2.0, method="run-time")
    both = known + Pace(metered_s=1.0, cpu_s=1.0, other_cpu_s=1.0, own_j=2.0, method="cpu-time")
    assert (both.metered_s, both.wait_s, both.own_j, both.method) == (2.0, None, 4.0, "mixed")
    assert (known + Pace()).own_j is None


def test_the_meter_of_one_process_knows_its_pace_but_nobody_elses() -> None:
    clock, cpu_s = iter([0.0, 4.0]), iter([0.0, 1.0])
    threads = iter([{1: NEW}, {1: ThreadTimes(run_s=1.0, wait_s=3.0)}])
    meter = ProcessMeter(
        POWER, 1, clock=lambda: next(clock), cpu_seconds=lambda: next(cpu_s), threads=lambda pid: next(threads)
    )
    meter.mark()
    assert meter.pace.own_j == pytest.approx(CPU_W + BY_THE_HOUR_W)
    assert (meter.pace.wait_s, meter.pace.wait_other_s, meter.pace.other_cpu_s) == (3.0, None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="schedstat is Linux's")
def test_a_thread_runs_for_its_cpu_seconds_however_long_it_waits_beside_others() -> None:
    strangers = [("endless", 0.0)] * 3
    with burners(("alone", 1.5), *strangers) as (mine, *others):
        for other in others:
            other.tell()
        queue = RunQueue([mine.process.pid], threads_of)
        mine.tell()
        cpu_s = mine.exact_cpu_s()
        found = queue.advance([mine.process.pid])
    assert found is not None
    assert found.wait_s > 0
    assert found.run_s == pytest.approx(cpu_s, rel=0.05)


def test_of_a_process_that_is_gone_there_are_no_waits() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert threads_of(process.pid) is None
    assert RunQueue([process.pid], threads_of).advance([process.pid]) is None
