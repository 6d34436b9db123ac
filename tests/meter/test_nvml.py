"""NVML on recorded readings: energy counter, sampled power, SM time by process, MIG, and GPUs that fail."""

import pytest
from fake_nvml import FakeGpu, FakeNvml

from tune_kd.meter.counter import Unavailable
from tune_kd.meter.nvml import NvmlReader


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def reader(clock: Clock, *gpus: FakeGpu) -> NvmlReader:
    return NvmlReader(FakeNvml(*gpus), clock=clock, shares_host_pids=True)


def test_the_energy_counter_is_read_from_the_first_reading_on(clock: Clock) -> None:
    gpu = FakeGpu(energy_mj=5_000_000)
    gpus = reader(clock, gpu)
    gpu.energy_mj = 5_250_000
    assert gpus.read()[0].energy_j == pytest.approx(250)
    assert gpus.gpus[0].method == "counter"


def test_without_a_counter_power_is_integrated_by_the_trapezium_rule(clock: Clock) -> None:
    gpu = FakeGpu(energy_mj=None, power_mw=100_000)
    gpus = reader(clock, gpu)
    clock.now_s, gpu.power_mw = 2.0, 300_000
    gpus.read()
    clock.now_s, gpu.power_mw = 3.0, 300_000
    assert gpus.read()[0].energy_j == pytest.approx(2 * 200 + 300)
    assert gpus.gpus[0].method == "sampled"


def test_two_processes_on_one_gpu_have_their_own_sm_time(clock: Clock) -> None:
    gpu = FakeGpu()
    gpus = reader(clock, gpu)
    clock.now_s = 1.0
    gpu.used(at_us=1_000, p7=60, p8=20)
    assert gpus.read()[0].sm_s == pytest.approx({7: 0.6, 8: 0.2})
    clock.now_s = 3.0
    gpu.used(at_us=3_000, p8=50)
    assert gpus.read()[0].sm_s == pytest.approx({7: 0.6, 8: 1.2})


def test_no_sample_is_no_use_and_no_error(clock: Clock) -> None:
    gpus = reader(clock, FakeGpu())
    clock.now_s = 1.0
    assert gpus.read()[0].sm_s == {}


def test_samples_from_before_the_reader_are_nobodys(clock: Clock) -> None:
    gpu = FakeGpu()
    gpu.used(at_us=500, p7=90)
    gpus = reader(clock, gpu)
    clock.now_s = 1.0
    assert gpus.read()[0].sm_s == {}


def test_mig_tells_no_sm_time_and_says_so(clock: Clock) -> None:
    gpu = FakeGpu(samples=None, utilisation=None, mig_instances=["MIG-1", "MIG-2", "MIG-3"])
    gpus = reader(clock, gpu)
    reading = gpus.read()[0]
    assert reading.sm_s is None
    assert reading.load is None
    assert gpus.gpus[0].slices == 3


def test_pids_of_another_namespace_are_not_taken_for_ours(clock: Clock) -> None:
    gpu = FakeGpu()
    gpus = NvmlReader(FakeNvml(gpu), clock=clock, shares_host_pids=False)
    clock.now_s = 1.0
    gpu.used(at_us=1_000, p7=60)
    assert gpus.read()[0].sm_s is None


def test_a_gpu_that_vanishes_keeps_its_energy_and_counts_gaps(clock: Clock) -> None:
    gpu = FakeGpu(energy_mj=0)
    gpus = reader(clock, gpu)
    gpu.energy_mj = 40_000
    assert gpus.read()[0].energy_j == 40
    gpu.lost = True
    gone = gpus.read()[0]
    assert (gone.energy_j, gone.gaps) == (40, 1)
    assert gpus.read()[0].gaps == 2


def test_a_counter_that_goes_backwards_is_a_gap(clock: Clock) -> None:
    gpu = FakeGpu(energy_mj=9_000)
    gpus = reader(clock, gpu)
    gpu.energy_mj = 1_000
    assert (gpus.read()[0].energy_j, gpus.read()[0].gaps) == (0, 1)


def test_ids_are_indices_uuids_or_mig_instances(clock: Clock) -> None:
    gpus = reader(clock, FakeGpu(uuid="GPU-aaaa"), FakeGpu(uuid="GPU-bbbb", mig_instances=["MIG-1"]))
    assert [gpus.index_of(device) for device in ("0", "1", "GPU-bbbb", "MIG-1")] == [0, 1, 1, 1]
    for absent in ("2", "GPU-cccc", "MIG-9"):
        with pytest.raises(KeyError, match=absent):
            gpus.index_of(absent)


@pytest.mark.parametrize(
    ("nvml", "why"),
    [
        (FakeNvml(broken=True), "NVML error"),
        (FakeNvml(), "no GPU"),
        (FakeNvml(FakeGpu(energy_mj=None, power_mw=None)), "neither its energy nor its power"),
    ],
)
def test_a_reader_that_cannot_work_says_why(nvml: FakeNvml, why: str, clock: Clock) -> None:
    with pytest.raises(Unavailable, match=why):
        NvmlReader(nvml, clock=clock)


@pytest.mark.parametrize("other", [FakeGpu(unknown=True), FakeGpu(energy_mj=None, power_mw=None)])
def test_a_gpu_that_tells_nothing_leaves_the_others_counted_under_their_own_indices(
    other: FakeGpu, clock: Clock
) -> None:
    counted = FakeGpu(uuid="GPU-bbbb", energy_mj=0)
    gpus = reader(clock, other, counted)
    counted.energy_mj = 7_000
    assert [(gpu.index, gpu.energy_j) for gpu in gpus.read()] == [(1, 7)]
    assert gpus.index_of("1") == gpus.index_of("GPU-bbbb") == 1
    [reason] = gpus.silent
    assert reason.startswith("GPU 0 ")
    with pytest.raises(KeyError, match=f"no GPU '0' is counted on this node, {reason}"):
        gpus.index_of("0")


class OldNvml(FakeNvml):
    """A pynvml of before 2018: these functions were not written yet."""

    nvmlDeviceGetTotalEnergyConsumption = property()  # noqa: N815  (an attribute that raises AttributeError)
    nvmlDeviceGetProcessUtilization = property()  # noqa: N815


def test_an_old_pynvml_reads_what_it_can(clock: Clock) -> None:
    [gpu] = NvmlReader(OldNvml(FakeGpu(power_mw=100_000)), clock=clock, shares_host_pids=True).gpus
    assert (gpu.method, gpu.sm_s) == ("sampled", None)


class AncientNvml(FakeNvml):
    nvmlSystemGetDriverVersion = property()  # noqa: N815


def test_a_pynvml_that_is_too_old_for_anything_says_so_with_a_remedy(clock: Clock) -> None:
    with pytest.raises(Unavailable, match=r"pynvml here is too old: .*nvmlSystemGetDriverVersion") as refused:
        NvmlReader(AncientNvml(FakeGpu()), clock=clock)
    assert "pip install --upgrade nvidia-ml-py" in refused.value.remedy


@pytest.mark.gpu
def test_a_real_gpu_uses_energy() -> None:
    pynvml = pytest.importorskip("pynvml")
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU here")
    gpus = NvmlReader(pynvml)
    before = gpus.read()[0]
    matrix = torch.randn(4096, 4096, device="cuda")
    for _ in range(200):
        matrix = torch.nn.functional.normalize(matrix @ matrix)
    torch.cuda.synchronize()
    after = gpus.read()[0]
    assert after.energy_j > before.energy_j
    assert after.gaps == 0
