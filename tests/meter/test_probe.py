"""What `tune-kd doctor` says of the readers: what works, what does not, and what would help."""

from pathlib import Path

from fake_nvml import FakeGpu, FakeNvml
from recorded_host import POWER

from tune_kd.meter.probe import open_readers, probe


def powercap(root: Path) -> Path:
    folder = root / "intel-rapl:0"
    folder.mkdir()
    for name, text in (("name", "package-0"), ("max_energy_range_uj", "1000000"), ("energy_uj", "5")):
        (folder / name).write_text(text)
    return root


def test_where_everything_works_every_reader_says_what_it_reads(tmp_path: Path) -> None:
    rapl, nvml, model = probe(POWER, powercap=powercap(tmp_path), nvml=FakeNvml(FakeGpu(energy_mj=None)))
    assert (rapl.works, nvml.works, model.works) == (True, True, True)
    assert "package-0" in rapl.why
    assert "sampled" in nvml.why


def test_where_nothing_works_the_model_does_and_the_others_say_why_and_what_would_help(tmp_path: Path) -> None:
    rapl, nvml, model = probe(POWER, powercap=tmp_path, nvml=FakeNvml(broken=True))
    assert (rapl.works, nvml.works, model.works) == (False, False, True)
    for finding in (rapl, nvml, model):
        assert finding.why
        assert finding.remedy
    assert "recorded" in model.why


def test_readers_open_the_best_there_is(tmp_path: Path) -> None:
    best = open_readers(POWER, powercap=powercap(tmp_path), nvml=FakeNvml(FakeGpu()))
    worst = open_readers(POWER, powercap=tmp_path / "absent", nvml=FakeNvml())
    assert (best.methods.cpu, best.methods.gpu, best.methods.ram) == ("counter", "counter", "model")
    assert (worst.methods.cpu, worst.methods.gpu, worst.methods.ram) == ("model", None, "model")


def test_a_gpu_that_is_not_counted_is_named_beside_those_that_are(tmp_path: Path) -> None:
    _, nvml, _ = probe(POWER, powercap=tmp_path, nvml=FakeNvml(FakeGpu(), FakeGpu(unknown=True)))
    assert nvml.works
    assert nvml.why == "GPU 0 NVIDIA Recorded: counter, not counted: GPU 1 cannot be asked: NVML error 15"
    assert "nvidia-smi" in nvml.remedy
