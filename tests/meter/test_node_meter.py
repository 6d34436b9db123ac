"""The node's meter on a recorded computer: accounts, marks, deaths and conservation."""

import json
from pathlib import Path

import pytest
from fake_nvml import FakeGpu, FakeNvml
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_host import POWER, RecordedHost

from tune_kd.errors import InputError
from tune_kd.meter.node import NodeMeter
from tune_kd.meter.nvml import NvmlReader
from tune_kd.meter.rapl import RaplReader
from tune_kd.meter.readings import NodeReaders

DYNAMIC_W_PER_CPU = 100 * 0.8 / 2  # of POWER


@pytest.fixture
def computer() -> RecordedHost:
    return RecordedHost()


def metered(computer: RecordedHost, **readers: object) -> NodeMeter:
    return NodeMeter(NodeReaders(POWER, host=computer.host, **readers))  # type: ignore[arg-type]


def test_two_trials_and_a_stranger_each_pay_for_what_they_used(computer: RecordedHost) -> None:
    meter = metered(computer)
    for trial, pid in (("a", 10), ("b", 11)):
        computer.start(pid)
        meter.register(trial, pid, cpus=0.5)
    computer.run(1, {10: 1.0, 11: 0.25, 99: 0.5})
    meter.tick()
    snapshot = meter.snapshot()
    assert snapshot.trials["a"].energy.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU * 1.0)
    assert snapshot.trials["b"].energy.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU * 0.25)
    assert snapshot.totals.other_j == pytest.approx(DYNAMIC_W_PER_CPU * 0.5)
    assert snapshot.totals.idle_j == pytest.approx((20 + 5) / 2)
    assert snapshot.totals.total_j == pytest.approx(DYNAMIC_W_PER_CPU * 1.75 + 20 + 5)
    assert snapshot.trials["a"].energy.method == "model"


def test_a_reused_worker_starts_from_a_clean_line(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(10)
    meter.register("first", 10, cpus=1)
    computer.run(0.5, {10: 0.5})
    first = meter.unregister("first").energy
    computer.run(0.25, {10: 0.25})  # between two trials: nobody's
    meter.register("second", 10, cpus=1)
    computer.run(0.75, {10: 0.75})
    second = meter.unregister("second").energy
    assert first.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU * 0.5)
    assert second.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU * 0.75)
    assert meter.snapshot().totals.other_j == pytest.approx(DYNAMIC_W_PER_CPU * 0.25)


def test_a_worker_that_goes_on_to_the_next_trial_without_a_word_ends_the_first(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(10)
    meter.register("first", 10, cpus=1)
    computer.run(1, {10: 1.0})
    meter.register("second", 10, cpus=1)
    computer.run(1, {10: 1.0})
    meter.tick()
    trials = meter.snapshot().trials
    assert trials["first"].state == "lost"
    assert trials["first"].energy.cpu_j == trials["second"].energy.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU)


def test_children_belong_to_their_trial_also_those_that_no_scan_saw(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(10)
    meter.register("a", 10, cpus=1)
    computer.start(20, parent=10)
    computer.run(0.5, {10: 0.1, 20: 0.4})
    meter.tick()
    computer.end(20)
    computer.start(21, parent=10)
    computer.run(0.5, {21: 0.4})
    computer.end(21)  # came and went between two ticks
    assert meter.unregister("a").energy.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU * 0.9)


def test_a_trial_that_dies_is_closed_by_the_meter_and_keeps_its_energy(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(10)
    meter.register("a", 10, cpus=2)
    computer.run(1, {10: 1.0})
    meter.tick()
    computer.run(0.5, {10: 0.5})
    computer.end(10)
    meter.tick()
    dead = meter.snapshot().trials["a"]
    computer.run(1, {99: 1.0})
    meter.tick()
    assert dead.state == "lost"
    assert dead.energy.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU * 1.0)
    assert meter.unregister("a") == dead  # too late, and harmless
    assert meter.snapshot().totals.residual_j == pytest.approx(0, abs=1e-9)


def test_a_mark_includes_the_open_interval_and_closes_nothing(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(10)
    meter.register("a", 10, cpus=1)
    computer.run(0.25, {10: 0.25})
    mark = meter.mark("a").energy
    assert mark.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU * 0.25)
    assert mark.idle_j == pytest.approx(20 / 2 * 0.25)
    assert meter.snapshot().totals.total_j == 0
    computer.run(0.75, {10: 0.75})
    assert meter.unregister("a").energy.cpu_j == pytest.approx(DYNAMIC_W_PER_CPU)


def test_a_mark_reads_the_known_processes_of_trials_alone(computer: RecordedHost) -> None:
    computer.start(10)
    computer.start(11)
    meter = metered(computer)
    meter.register("a", 10, cpus=1)
    computer.start(99)
    meter.register("b", 11, cpus=1)
    scans = computer.scans
    meter.mark("a")
    assert computer.scans == scans
    assert computer.read_pids == [10, 11]


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["mark", "tick"]), st.floats(0, 2), st.floats(0, 1), st.floats(0, 1)), max_size=20
    )
)
def test_marks_never_fall_and_nothing_is_lost_or_made(steps: list[tuple[str, float, float, float]]) -> None:
    computer = RecordedHost()
    meter = metered(computer)
    computer.start(10)
    meter.register("a", 10, cpus=1)
    last_j = 0.0
    for action, duration_s, mine_s, others_s in steps:
        computer.run(duration_s, {10: mine_s, 99: others_s})
        if action == "tick":
            meter.tick()
        now_j = meter.mark("a").energy.total_j
        assert now_j is not None
        assert now_j >= last_j
        last_j = now_j
    meter.tick()
    totals = meter.snapshot().totals
    assert abs(totals.residual_j) <= 1e-9 * max(1.0, totals.total_j)
    assert totals.total_j == pytest.approx(25 * computer.now_s + DYNAMIC_W_PER_CPU * computer.busy_s)


def test_the_record_says_how_the_node_was_metered(computer: RecordedHost) -> None:
    """Every column that the meter gives is one of the store's."""
    from tune_kd.store.columns import TABLES

    nvml = NvmlReader(FakeNvml(FakeGpu(), FakeGpu()), clock=lambda: computer.now_s, shares_host_pids=True)
    meter = metered(computer, nvml=nvml)
    meter.tick()
    row = {**meter.description(), **meter.snapshot().totals.row()}
    assert (row["gpus"], row["power_limit_w"], row["mig"]) == (2, 700, False)
    assert row["energy_total_j"] == row["energy_trials_j"] + row["energy_other_j"] + row["energy_idle_j"]
    assert set(row) <= {column.name for column in TABLES["nodes"]}


def test_a_teacher_pays_for_the_cpus_that_nobody_has_reserved_and_takes_none_from_a_trial(
    computer: RecordedHost,
) -> None:
    meter = metered(computer)
    for pid in (10, 11):
        computer.start(pid)
    meter.register("teacher", 10, cpus=1, spare=True)
    computer.run(1, {10: 2.0})
    alone = meter.mark("teacher").energy
    assert (alone.idle_j, alone.ram_j) == (20, 5)  # all of the node
    meter.register("trial", 11, cpus=1)
    computer.run(1, {10: 1.0, 11: 1.0})
    meter.tick()
    trials = meter.snapshot().trials
    assert (trials["trial"].energy.idle_j, trials["trial"].energy.ram_j) == (10, 2.5)
    assert (trials["teacher"].energy.idle_j, trials["teacher"].energy.ram_j) == (20 + 10, 5 + 2.5)
    assert meter.snapshot().totals.idle_j == 0


def test_co_tenants_are_the_most_there_ever_were(computer: RecordedHost) -> None:
    meter = metered(computer)
    for trial, pid in (("a", 10), ("b", 11), ("c", 12)):
        computer.start(pid)
        meter.register(trial, pid, cpus=1)
    meter.unregister("c")
    assert [meter.mark(trial).co_tenants for trial in "abc"] == [2, 2, 2]


def test_the_driver_hears_of_every_ended_trial_once(computer: RecordedHost) -> None:
    meter = metered(computer)
    for trial, pid in (("a", 10), ("b", 11)):
        computer.start(pid)
        meter.register(trial, pid, cpus=1)
    meter.unregister("a")
    first = meter.snapshot()
    meter.unregister("b")
    second = meter.snapshot(first.ended)
    assert set(first.trials) == {"a", "b"}
    assert set(second.trials) == {"b"}


def test_a_name_is_of_one_attempt(computer: RecordedHost) -> None:
    meter = metered(computer)
    computer.start(10)
    meter.register("a", 10, cpus=1)
    meter.unregister("a")
    with pytest.raises(InputError, match="name of its own"):
        meter.register("a", 10, cpus=1)


def test_what_cannot_be_metered_is_refused(computer: RecordedHost) -> None:
    meter = metered(computer)
    with pytest.raises(ProcessLookupError):
        meter.register("a", 404, cpus=1)
    with pytest.raises(KeyError):
        meter.mark("never registered")
    with pytest.raises(InputError, match="period"):
        NodeMeter(NodeReaders(POWER, host=computer.host), period_s=0)


def powercap(root: Path, joules: float) -> Path:
    folder = root / "intel-rapl:0"
    folder.mkdir(exist_ok=True)
    (folder / "name").write_text("package-0")
    (folder / "max_energy_range_uj").write_text("262143000000")
    (folder / "energy_uj").write_text(str(round(joules * 1e6)))
    return root


def test_a_counter_takes_the_models_place_and_a_quiet_second_teaches_idle(
    computer: RecordedHost, tmp_path: Path
) -> None:
    meter = metered(computer, rapl=RaplReader(powercap(tmp_path, 1000)))
    computer.run(1, {})
    powercap(tmp_path, 1012)  # 12 W, and not the model's 20
    meter.tick()
    computer.start(10)
    meter.register("a", 10, cpus=2)
    computer.run(1, {10: 2.0})
    powercap(tmp_path, 1112)
    energy = meter.unregister("a").energy
    assert energy.cpu_j == pytest.approx(88)
    assert energy.idle_j == pytest.approx(12)
    assert energy.method == "mixed"  # the RAM has no counter here
    described = meter.description()
    assert (described["meter_method_cpu"], described["meter_method_ram"]) == ("counter", "model")
    assert json.loads(described["meter_params_json"])["cpu_idle_observed"] is True


def test_an_interval_whose_counter_failed_is_a_gap_in_the_record(computer: RecordedHost, tmp_path: Path) -> None:
    meter = metered(computer, rapl=RaplReader(powercap(tmp_path, 1000)))
    computer.run(1, {})
    powercap(tmp_path, 1020)
    meter.tick()
    computer.run(1, {})
    powercap(tmp_path, 500)  # backwards
    meter.tick()
    totals = meter.snapshot().totals
    assert totals.coverage == 0.5
    assert totals.total_j == pytest.approx(20 + 2 * 5)


def test_two_trials_share_a_gpu_by_sm_time_and_the_rest_is_other(computer: RecordedHost) -> None:
    gpu = FakeGpu(energy_mj=0, utilisation=0)
    meter = metered(computer, nvml=NvmlReader(FakeNvml(gpu), clock=lambda: computer.now_s, shares_host_pids=True))
    computer.run(1, {})
    gpu.energy_mj = 70_000
    meter.tick()  # quiet: 70 W is idle
    for trial, pid in (("a", 10), ("b", 11)):
        computer.start(pid)
        meter.register(trial, pid, cpus=1, gpus={"0": 0.5})
    computer.run(1, {})
    gpu.energy_mj, gpu.utilisation = 370_000, 100
    gpu.used(at_us=2_000_000, p10=60, p11=20, p99=20)
    meter.tick()
    snapshot = meter.snapshot()
    assert snapshot.trials["a"].energy.gpu_j == pytest.approx(0.6 * 230)
    assert snapshot.trials["b"].energy.gpu_j == pytest.approx(0.2 * 230)
    assert snapshot.totals.other_j == pytest.approx(0.2 * 230)
    assert snapshot.trials["a"].energy.idle_j == pytest.approx(70 / 2 + 20 / 2)
    assert snapshot.totals.residual_j == pytest.approx(0, abs=1e-9)


def test_a_trial_on_a_mig_instance_has_a_part_of_the_gpu(computer: RecordedHost) -> None:
    gpu = FakeGpu(samples=None, utilisation=None, mig_instances=["MIG-1", "MIG-2"])
    meter = metered(computer, nvml=NvmlReader(FakeNvml(gpu), clock=lambda: computer.now_s, shares_host_pids=True))
    for trial, pid, instance in (("a", 10, "MIG-1"), ("b", 11, "MIG-2")):
        computer.start(pid)
        meter.register(trial, pid, cpus=1, gpus={instance: 1.0})
    computer.run(1, {})
    gpu.energy_mj = 300_000
    meter.tick()
    trials = meter.snapshot().trials
    assert trials["a"].energy.gpu_j == trials["b"].energy.gpu_j == pytest.approx(150)


def test_a_gpu_that_is_not_there_is_refused_and_one_that_vanishes_is_a_gap(computer: RecordedHost) -> None:
    gpu = FakeGpu(utilisation=100)
    meter = metered(computer, nvml=NvmlReader(FakeNvml(gpu), clock=lambda: computer.now_s, shares_host_pids=True))
    computer.start(10)
    with pytest.raises(KeyError, match="no GPU '3'"):
        meter.register("a", 10, cpus=1, gpus={"3": 1.0})
    meter.register("b", 10, cpus=1, gpus={"0": 1.0})
    computer.run(1, {})
    gpu.energy_mj = 200_000
    meter.tick()
    gpu.lost = True
    computer.run(1, {})
    meter.tick()
    assert meter.unregister("b").energy.gpu_j == 200
    assert meter.snapshot().totals.coverage < 1
